"""The look at what is left has to see it, or every other test here could not fail."""

import os
import socket
import subprocess

import pytest
from support import Project, eventually, need


@pytest.fixture
def littered():
    """Closed without being asked whether anything is left."""
    project = Project()
    yield project
    project.close()
    assert not project.leftovers() and not project.base.exists()


def test_nothing_is_seen_where_nothing_is(littered):
    assert not littered.leftovers()


def test_a_process_is_seen_wherever_it_went(littered):
    child = littered.start("setsid", "sleep", "1000", cwd="/")
    # In the middle of an exec a process has neither words nor environment.
    eventually(lambda: f"{child.pid} sleep 1000" in littered.leftovers().processes, what="the process seen")


def test_a_mount_is_seen_and_taken_away_though_dead(littered):
    need("fuse")
    owner = littered.serve()
    assert littered.leftovers().mounts == [str(littered.mount)]
    owner.kill()
    owner.wait(5)
    assert littered.leftovers().mounts == [str(littered.mount)]


def test_sockets_locks_and_records_are_seen(littered):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(littered.runtime / "x.sock"))
        listening.listen()
        (littered.runtime / "x.json").touch()
        folder = littered.root / ".agentfs/x.d"
        folder.mkdir(parents=True)
        (folder / "owner.lock").touch()
        (littered.root / "x.json").touch()
        left = littered.leftovers()
        assert left.sockets == [str(littered.runtime / "x.sock")]
        assert left.files == [str(folder / "owner.lock"), str(littered.runtime / "x.json"), *left.sockets]


def test_a_project_that_leaves_something_fails_its_test(littered):
    littered.start("sleep", "1000", stdout=subprocess.DEVNULL)
    with pytest.raises(AssertionError, match="processes left: .* sleep 1000"):
        littered.assert_nothing_left(within=0.1)
    assert os.path.exists(littered.base)
