"""`agentfs prune mounts --force` unmounts every idle mount of the machine. `down` and `unmount` take what is theirs."""

import os

import pytest
from support import Upstream, need


@pytest.fixture
def other(make_project):
    """A project beside, up and idle."""
    need("fuse")
    project = make_project()
    owner = project.serve()
    (project.mount / "file").write_text("content")
    yield project
    assert project.stop(owner) == 0


def test_down_and_unmount_know_their_own(project, other):
    for _ in range(2):
        project.helper("down")
        project.helper("unmount", check=False)
    refused = project.helper("unmount", other.mount, check=False)
    assert refused.returncode == 4 and "[nixbox::owner::held]" in refused.stderr, refused.stderr
    refused = project.helper("unmount", "--lazy", other.mount, check=False)
    assert refused.returncode != 0, refused.stderr
    assert (other.mount / "file").read_text() == "content"
    assert other.helper("ready").returncode == 0


def test_what_is_no_agentfs_mount_is_nobodys_to_take(project):
    if os.geteuid() != 0:
        pytest.skip("optional: only root mounts a tmpfs")
    point = project.root / "tmpfs"
    point.mkdir()
    project.command("mount", "-t", "tmpfs", "none", point)
    try:
        refused = project.helper("unmount", "./tmpfs", check=False)
        assert refused.returncode != 0 and "[nixbox::" in refused.stderr, refused.stderr
        assert os.path.ismount(point)
    finally:
        project.command("umount", point)


def test_upstreams_idle_mount_outlives_down(project):
    need("fuse")
    upstream = Upstream(project)
    upstream("init", "theirs")
    with upstream.mounted(project.database("theirs"), project.root / "theirs") as point:
        project.helper("down")
        assert os.path.ismount(point)
