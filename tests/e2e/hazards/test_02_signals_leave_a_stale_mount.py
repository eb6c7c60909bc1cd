"""Upstream's mount handles no signal: each of them leaves a dead mount. (P5, in tests/chaos, is the same at length.)"""

import os
import signal

import pytest
from support import Upstream, need


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda sig: sig.name)
def test_the_mount_goes_with_its_owner(project, sig):
    need("fuse")
    owner = project.serve()
    (project.mount / "file").write_text("content")
    assert project.stop(owner, sig) == 0
    assert not project.mount.exists()
    assert project.journals() == []


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGQUIT, signal.SIGABRT], ids=lambda sig: sig.name)
def test_what_nothing_can_handle_is_repaired_by_the_next_start(project, sig):
    need("fuse")
    owner = project.serve()
    (project.mount / "file").write_text("content")
    with (project.mount / "file").open() as file:
        os.fsync(file.fileno())
    owner.send_signal(sig)
    owner.wait(5)
    owner = project.serve()
    assert (project.mount / "file").read_text() == "content"
    assert project.stop(owner) == 0


def test_upstream_has_it(project):
    need("fuse")
    upstream = Upstream(project)
    upstream("init", "theirs")
    point = project.root / "theirs"
    point.mkdir()
    child = upstream.start(project.database("theirs"), point)
    child.terminate()
    assert child.wait(5) == -signal.SIGTERM
    # By name: to look into it would fail.
    assert str(point) in project.leftovers().mounts
    project.command("umount", point)
