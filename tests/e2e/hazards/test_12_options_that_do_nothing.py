"""Upstream takes `--uid` and `--gid` and forgets them, and makes a database of a name that was only mistyped."""

import os

import pytest
from support import PLAIN, need


def test_uid_gid_and_read_only_hold(make_project):
    need("fuse")
    project = make_project(PLAIN)
    owner = project.serve()
    (project.mount / "file").write_text("content")
    assert project.stop(owner) == 0
    project.configure(PLAIN + "uid = 12345\ngid = 54321\nread_only = true\n")
    owner = project.serve()
    seen = (project.mount / "file").stat()
    assert (seen.st_uid, seen.st_gid) == (12345, 54321)
    with pytest.raises(OSError, match="Read-only"):
        (project.mount / "new").touch()
    with pytest.raises(OSError, match="Read-only"):
        (project.mount / "file").unlink()
    assert project.stop(owner) == 0


def test_a_name_that_is_not_declared_makes_nothing(project):
    for verb in (("serve", "sandbax"), ("fs", "ls", "--instance", "sandbax"), ("kv", "list", "--instance", "sandbax")):
        done = project.helper(*verb, check=False)
        assert done.returncode == 3 and "[nixbox::instance::unknown]" in done.stderr, done.stderr
    # Nor does looking make the one that is.
    for verb in (("fs", "ls"), ("kv", "list"), ("timeline",)):
        done = project.helper(*verb, check=False)
        assert done.returncode == 3 and "[nixbox::database::missing]" in done.stderr, done.stderr
    assert not project.database().exists() and os.listdir(project.root) in (["nixbox.toml"], [".agentfs", "nixbox.toml"])
