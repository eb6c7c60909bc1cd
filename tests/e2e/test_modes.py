"""`mode`: writing to the folder itself, and instances of which nothing is left."""

import json
import os
import signal

import pytest
from support import need

DIRECT = """version = 1

[instances.sandbox]
base = "."
mode = "direct"
exclude = ["*.secret"]
mount.path = ".agentfs/mnt"
"""

EPHEMERAL = """version = 1

[instances.sandbox]
mode = "ephemeral"
mount.path = ".agentfs/mnt"
"""


@pytest.fixture
def direct(make_project):
    need("fuse")
    project = make_project(DIRECT)
    (project.root / "src").mkdir()
    (project.root / "src/a").write_text("one\n")
    (project.root / "x.secret").write_text("hush")
    owner = project.serve()
    yield project
    assert project.stop(owner) == 0


def test_a_direct_mount_is_the_folder(direct):
    assert sorted(os.listdir(direct.mount)) == ["nixbox.toml", "src"]
    (direct.mount / "src/a").write_text("two\n")
    assert (direct.root / "src/a").read_text() == "two\n"
    # Seen at once, whoever wrote it.
    (direct.root / "src/a").write_text("three\n")
    (direct.root / "src/b").write_text("new\n")
    assert (direct.mount / "src/a").read_text() == "three\n"
    assert sorted(os.listdir(direct.mount / "src")) == ["a", "b"]
    (direct.mount / "src/b").rename(direct.mount / "c")
    assert (direct.root / "c").read_text() == "new\n"
    with pytest.raises(PermissionError):
        (direct.mount / "mine.secret").write_text("")
    direct.command("git", "init", "-q", direct.mount / "repo")
    direct.command("git", "-C", direct.mount / "repo", "-c", "user.name=a", "-c", "user.email=a@b", "commit",
                   "-q", "--allow-empty", "-m", "x")  # fmt: skip
    direct.command("git", "-C", direct.root / "repo", "fsck", "--strict")


def test_verbs_write_to_the_folder_and_are_on_record(direct):
    direct.helper("fs", "write", "src/made", input="by a verb\n")
    assert (direct.root / "src/made").read_text() == "by a verb\n"
    assert (direct.mount / "src/made").read_text() == "by a verb\n"
    direct.helper("kv", "set", "k", "1")
    calls = direct.json("timeline", "--json")
    assert any("src/made" in json.dumps(call) for call in calls["calls"])


def test_direct_is_warned_about(make_project):
    project = make_project(DIRECT)
    checked = project.helper("config", "check")
    assert "instances.sandbox.mode" in checked.stderr
    assert len(project.json("config", "check", "--json")["warnings"]) == 1
    assert "direct" in project.helper("doctor", check=False).stdout


def test_an_ephemeral_instance_leaves_nothing(make_project):
    need("fuse")
    project = make_project(EPHEMERAL)
    for sig in (signal.SIGTERM, signal.SIGKILL):
        owner = project.serve()
        (project.mount / "file").write_text("x" * 100_000)
        project.helper("fs", "write", "more", input="y")
        project.helper("kv", "set", "k", "1")
        project.stop(owner, sig)
        assert list((project.root / ".agentfs").glob("*.db*")) == []
    project.helper("down")
    for verb in (("fs", "ls"), ("kv", "list"), ("timeline",)):
        refused = project.helper(*verb, check=False)
        assert refused.returncode == 3 and "not running" in refused.stderr
    project.helper("init")
    assert list((project.root / ".agentfs").glob("*.db*")) == []


def test_an_ephemeral_instance_is_kept_when_asked(make_project):
    need("fuse")
    project = make_project(EPHEMERAL)
    owner = project.serve()
    (project.mount / "file").write_text("kept")
    project.helper("down", "--keep")
    assert owner.wait(5) == 0
    database = project.root / ".agentfs/sandbox.db"
    assert database.exists() and project.journals() == []

    # A second one is never saved over it, and goes on when that was asked for.
    owner = project.serve()
    assert os.listdir(project.mount) == []
    (project.mount / "other").write_text("")
    refused = project.helper("down", "--keep", check=False)
    assert refused.returncode == 5 and "nixbox::database::exists" in refused.stderr
    assert os.listdir(project.mount) == ["other"]
    assert project.stop(owner) == 0
    refused = project.helper("serve", "--keep", check=False)
    assert refused.returncode == 5

    (project.root / "nixbox.toml").write_text(EPHEMERAL.replace("ephemeral", "overlay"))
    assert project.helper("fs", "cat", "file").stdout == "kept"
