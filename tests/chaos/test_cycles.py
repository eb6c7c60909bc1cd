"""P11: instances come and go a thousand times, and the machine is as it was."""

import os
import shutil
from pathlib import Path

import pytest
from support import OVER, need, scaled

CYCLES = scaled(25, 1000)


def machine():
    """What would grow if each cycle left a little."""
    fuse = Path("/sys/fs/fuse/connections")
    return {
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "fuse": len(os.listdir(fuse)) if fuse.is_dir() else 0,
    }


@pytest.mark.timeout(scaled(180, 7200))
def test_create_run_and_remove(make_project):
    """Each with a program in its mount; every tenth is killed, and repaired by `down`."""
    need("fuse")
    project = make_project(OVER)
    project.below.mkdir()
    (project.below / "file").write_text("of the base")
    state = project.root / ".agentfs"
    for cycle in range(CYCLES):
        owner = project.serve()
        written = project.command("sh", "-euc", "cat file; echo more >>file; mkdir d; cp file d/copy", cwd=project.mount)
        assert written.stdout == "of the base"
        assert project.helper("fs", "cat", "d/copy").stdout == "of the basemore\n"
        if cycle % 10 == 9:
            owner.kill()
            owner.wait(5)
            project.helper("down")
        else:
            project.helper("stop")
            assert owner.wait(4) == 0
        project.children.remove(owner)
        project.assert_nothing_left()
        # There is no verb that removes an instance: it is its files, and where nothing was killed one is all.
        left = {path.relative_to(state).as_posix() for path in state.rglob("*") if not path.is_dir()}
        assert left == {"sandbox.db"} or cycle % 10 == 9, left
        shutil.rmtree(state)
        if cycle == 0:
            before = machine()
    now = machine()
    # Others may mount on this machine meanwhile; a leak would be as large as the number of cycles.
    assert all(now[what] - before[what] < CYCLES / 2 for what in now), (before, now)
    assert now["descriptors"] <= before["descriptors"]
    assert os.listdir(project.runtime) in ([], ["nixbox"]), os.listdir(project.runtime)
