"""The README's first command, from its first line to the empty temporary folder after it."""

import os
import tempfile

from support import HELPER, need


def test_quickstart_shows_the_whole_flow_and_leaves_nothing(make_project):
    need("fuse")
    project = make_project(config=None)
    scratch = project.base / "scratch"
    scratch.mkdir()
    done = project.command(HELPER, "quickstart", env={"TMPDIR": str(scratch)})
    told = done.stdout + done.stderr
    for part in ("nixbox.toml", "AGENTFS_", "ready"):
        assert part in told, told
    assert os.listdir(scratch) == []
    assert os.listdir(project.root) == []
    assert [name for name in os.listdir(tempfile.gettempdir()) if project.mark in name] == []


def test_quickstart_runs_twice_at_once(make_project):
    need("fuse")
    project = make_project(config=None)
    both = [project.start(HELPER, "quickstart", "-q") for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
