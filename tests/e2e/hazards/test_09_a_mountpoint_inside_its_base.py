"""Upstream's mount hangs when it lies inside its own base, which is where a project puts it. Ours hides itself."""

import os

import pytest
from support import PLAIN, need

INSIDE = PLAIN.replace("[instances.sandbox.mount]", '[instances.sandbox]\nbase = "."\n\n[instances.sandbox.mount]')


@pytest.mark.parametrize("point", [".agentfs/mnt", "mnt", "deep/er/mnt"])
def test_the_whole_project_is_its_base(make_project, point):
    need("fuse")
    project = make_project(INSIDE.replace(".agentfs/mnt", point))
    (project.root / "src").mkdir()
    (project.root / "src/file").write_text("content")
    owner = project.serve()
    mount = project.root / point
    seen = project.command("timeout", "20", "find", ".", "-mindepth", "1", cwd=mount).stdout.split()
    assert not [path for path in seen if path.endswith("mnt") or ".agentfs" in path], seen
    assert {"./src", "./src/file", "./nixbox.toml"} <= set(seen)
    (mount / "src/file").write_text("changed")
    project.command("timeout", "20", "grep", "-r", "changed", ".", cwd=mount)
    assert (project.root / "src/file").read_text() == "content"
    assert project.stop(owner) == 0


def test_a_mountpoint_that_is_its_base_is_refused(over):
    over.configure(INSIDE.replace(".agentfs/mnt", "base").replace('base = "."', 'base = "base"'))
    (over.below / "file").touch()
    done = over.helper("serve", "sandbox", check=False)
    assert done.returncode == 2 and "[nixbox::config::" in done.stderr, done.stderr
    assert os.listdir(over.below) == ["file"]
