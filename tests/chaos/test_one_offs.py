"""P11: a thousand instances are made for a command, used and removed, and the machine is as it was."""

import os

import pytest
from support import need, scaled

from test_cycles import machine

CYCLES = scaled(20, 1000)


@pytest.mark.timeout(scaled(180, 3600))
def test_made_used_and_removed(make_project):
    """In a folder that declares nothing, with a program in each that writes."""
    need("fuse")
    project = make_project(None)
    base = project.root / "base"
    base.mkdir()
    (base / "file").write_text("of the base")
    script = 'test "$(cat file)" = "of the base"; echo more >>file; mkdir d; cp file d/copy; cat d/copy'
    for cycle in range(CYCLES):
        # Of every other one nothing is changed, and it goes by itself.
        rest = ["--rm", "--force", "--", "sh", "-euc", script] if cycle % 2 else ["--", "cat", "file"]
        done = project.helper("run", "--base", str(base), *rest)
        assert done.stdout == ("of the basemore\n" if cycle % 2 else "of the base")
        assert not (project.root / ".agentfs").exists(), list((project.root / ".agentfs").rglob("*"))
        if cycle == 0:
            before = machine()
    project.assert_nothing_left()
    now = machine()
    assert all(now[what] - before[what] < CYCLES / 2 for what in now), (before, now)
    assert now["descriptors"] <= before["descriptors"]
    left = [name for name in os.listdir(project.runtime) if name != "nixbox"]
    assert left == [], left
    assert (base / "file").read_text() == "of the base"
