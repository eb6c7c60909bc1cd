"""One instance from `up -d` to `down`, as a person would go through it."""

import os
import sqlite3
import time
import urllib.request

import pytest
from support import HELPER, need

TWO = """\
version = 1
default_instance = "sandbox"

[instances.sandbox.mount]
path = "mnt/sandbox"

[instances.web]
description = "with HTTP"

[instances.web.mount]
path = "mnt/web"

[instances.web.http]
port = 0

[instances.off]
enable = false
"""


@pytest.fixture(autouse=True)
def _fuse():
    need("fuse")


def test_up_ps_ready_wait_env_down(make_project):
    project = make_project(TWO)
    states = {row["instance"]: row["state"] for row in project.json("ps", "--json")["instances"]}
    assert states == {"sandbox": "stopped", "web": "stopped", "off": "disabled"}
    assert project.helper("ready", "sandbox", check=False).returncode != 0

    project.helper("up", "-d")
    rows = {row["instance"]: row for row in project.json("ps", "--json")["instances"]}
    for name in ("sandbox", "web"):
        assert rows[name]["state"] == "ready" and rows[name]["mounted"], rows[name]
        assert os.path.ismount(project.root / "mnt" / name)
        assert project.helper("ready", name).returncode == 0
    assert rows["off"]["pid"] is None
    project.helper("wait", "--all", "--timeout", "5")

    names = project.exports()
    assert names["AGENTFS_MOUNT"] == names["AGENTFS_SANDBOX_MOUNT"] == str(project.root / "mnt/sandbox")
    assert names["AGENTFS_WEB_URL"] == rows["web"]["url"]
    assert not any(name.startswith("AGENTFS_OFF_") and name.endswith("_MOUNT") for name in names)

    project.helper("down")
    assert not os.path.ismount(project.root / "mnt/web")
    states = {row["instance"]: row["state"] for row in project.json("ps", "--json")["instances"]}
    assert states == {"sandbox": "stopped", "web": "stopped", "off": "disabled"}


def test_what_was_written_is_there_after_a_restart_and_in_the_database(project):
    content = os.urandom(300_000)
    project.helper("up", "-d")
    (project.mount / "folder").mkdir()
    (project.mount / "folder/file").write_bytes(content)
    (project.mount / "folder/link").symlink_to("file")
    project.helper("down")
    assert not (project.mount / "folder").exists()

    with sqlite3.connect(project.database()) as database:
        (size,) = database.execute(
            "SELECT sum(length(data)) FROM fs_data WHERE ino = (SELECT ino FROM fs_dentry WHERE name = 'file')"
        ).fetchone()
        assert size == len(content)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()

    project.helper("up", "-d")
    assert (project.mount / "folder/link").read_bytes() == content
    project.helper("down")


def test_up_and_down_may_be_said_twice(project):
    project.helper("up", "-d")
    (before,) = project.json("ps", "--json")["instances"]
    project.helper("up", "-d")
    (after,) = project.json("ps", "--json")["instances"]
    assert after["pid"] == before["pid"]
    project.helper("down")
    project.helper("down")


def test_a_second_owner_is_refused_by_name(project):
    owner = project.serve()
    second = project.helper("serve", "sandbox", check=False)
    assert second.returncode == 4
    assert "nixbox::owner::held" in second.stderr and str(owner.pid) in second.stderr
    assert os.path.ismount(project.mount)
    assert project.stop(owner) == 0


def test_stop_ends_the_owner_and_gives_the_mountpoint_back(project):
    owner = project.serve()
    project.helper("stop", "sandbox")
    assert owner.wait(4) == 0
    assert not os.path.ismount(project.mount)


def test_wait_returns_when_an_owner_appears_later(project):
    waiting = project.start(HELPER, "wait", "sandbox", "--timeout", "30")
    time.sleep(0.3)
    assert waiting.poll() is None
    owner = project.serve()
    assert waiting.wait(5) == 0
    assert project.stop(owner) == 0


def test_wait_gives_up_in_time_with_its_own_code(project):
    begun = time.monotonic()
    done = project.helper("wait", "sandbox", "--timeout", "0.5", check=False)
    assert done.returncode == 6 and "nixbox::owner::not-ready" in done.stderr
    assert 0.4 < time.monotonic() - begun < 3


def test_healthz_answers_where_url_says(make_project):
    project = make_project(TWO)
    project.helper("up", "web", "-d")
    url = project.helper("url", "web").stdout.strip()
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
        assert answer.status == 200
    project.helper("down")


def test_a_verb_works_from_a_folder_below_and_on_a_named_file(project):
    below = project.root / "a/b"
    below.mkdir(parents=True)
    owner = project.serve()
    assert project.helper("ready", "sandbox", cwd=below).returncode == 0
    assert project.helper("--config", project.root / "nixbox.toml", "ready", cwd=project.base).returncode == 0
    lost = project.helper("ready", cwd=project.base, check=False)
    assert lost.returncode == 2 and "nixbox::config::missing" in lost.stderr
    assert project.stop(owner) == 0
