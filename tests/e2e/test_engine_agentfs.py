"""Upstream's program as the engine: a stand-in of ours everywhere, and the real one where AGENTFS_BIN names it."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, eventually, need

STAND_IN = ROOT / "tests/lib/support/stand_in_agentfs.py"

MOUNTED = """\
version = 1
agentfs_program = "{program}"

[instances.sandbox]
engine = "agentfs"
mount.path = "mnt"
"""

OVER_NFS = """\
version = 1
agentfs_program = "{program}"

[instances.sandbox]
engine = "agentfs"
mount.backend = "none"
nfs.port = {port}
"""


@pytest.fixture(params=["stand-in", "real"])
def program(request):
    need("fuse")
    if request.param == "real":
        return Path(need("AGENTFS_BIN")).resolve()
    if os.geteuid() != 0:
        pytest.skip("optional: the stand-in mounts as root only")
    return STAND_IN


@pytest.fixture
def stand_in():
    need("fuse")
    if os.geteuid() != 0:
        pytest.skip("optional: the stand-in mounts as root only")
    return STAND_IN


def children(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_is_up_answers_nothing_else_and_ends_in_order(make_project, program, sig):
    project = make_project(MOUNTED.format(program=program))
    owner = project.serve(stdout=subprocess.PIPE)
    mount = project.root / "mnt"
    assert os.path.ismount(mount)
    row = project.json("ps", "--json")["instances"][0]
    assert row["ready"] and row["mounted"] and row["mount"] == str(mount)
    for verb in (["kv", "list"], ["fs", "ls"], ["timeline"], ["tool", "start", "x"]):
        refused = project.helper(*verb, check=False)
        assert refused.returncode == 4 and "nixbox::upstream::alone" in refused.stderr, refused.stderr
        assert 'engine = "builtin"' in refused.stderr
    if program != STAND_IN:
        (mount / "a").write_text("by upstream\n")
    assert project.stop(owner, sig) == 0
    assert not os.path.ismount(mount) and not mount.exists()
    assert owner.stdout.read() == b"", "what it logs is not for standard output"
    assert not project.journals(), "its log is taken up into the database"
    if program != STAND_IN:
        assert project.helper("fs", "cat", "a").stdout == "by upstream\n"
    else:
        assert project.helper("kv", "get", "stand-in").stdout.strip() == "true"


def test_when_it_dies_so_does_the_owner_and_says_so(make_project, program):
    project = make_project(MOUNTED.format(program=program))
    owner = project.serve(stderr=subprocess.PIPE)
    (child,) = children(owner.pid)
    os.kill(child, signal.SIGKILL)
    assert owner.wait(10) == 8
    said = owner.stderr.read().decode()
    assert "nixbox::upstream::ended" in said and "SIGKILL" in said, said
    assert not os.path.ismount(project.root / "mnt")


def test_when_somebody_unmounts_it_all_ends_in_order(make_project, program):
    project = make_project(MOUNTED.format(program=program))
    owner = project.serve()
    unmount = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
    subprocess.run([*unmount, project.root / "mnt"], check=True)
    assert owner.wait(10) == 0


def test_a_killed_owner_leaves_a_dead_mount_that_the_next_repairs(make_project, program):
    project = make_project(MOUNTED.format(program=program))
    owner = project.serve()
    (child,) = children(owner.pid)
    owner.kill()
    owner.wait(5)
    eventually(lambda: not Path(f"/proc/{child}").exists(), 5, what="the program ended with its owner")
    owner = project.serve()
    assert os.statvfs(project.root / "mnt").f_blocks > 0
    assert project.stop(owner) == 0


def test_over_nfs(make_project, program):
    port = free_port()
    project = make_project(OVER_NFS.format(program=program, port=port))
    owner = project.serve()
    assert project.json("ps", "--json")["instances"][0]["nfs"] == f"127.0.0.1:{port}"
    assert project.helper("kv", "list", check=False).returncode == 4
    assert project.stop(owner) == 0
    assert not project.journals()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_what_it_says_is_told(make_project, stand_in):
    project = make_project(MOUNTED.format(program=stand_in))
    failed = project.helper("serve", "sandbox", check=False, env={"STAND_IN": "refuses"})
    assert failed.returncode == 8 and "nixbox::upstream::ended" in failed.stderr
    assert "a reason of its own" in failed.stderr and failed.stdout == ""
    missing = project.helper("serve", "sandbox", check=False, env={"NIXBOX_AGENTFS": "/nonexistent/agentfs"})
    assert missing.returncode == 8 and "nixbox::upstream::missing" in missing.stderr
    assert "/nonexistent/agentfs" in missing.stderr
    found = project.json("doctor", "--json", check=False)["findings"]
    assert any(finding["subject"] == "agentfs" and finding["grade"] == "ok" for finding in found), found


def test_one_that_hangs_is_not_waited_for_when_told_to_stop(make_project, stand_in):
    project = make_project(MOUNTED.format(program=stand_in))
    owner = project.serve(ready=False, env={**project.env, "STAND_IN": "hangs"})
    eventually(lambda: children(owner.pid), 10, what="the program started")
    assert project.helper("ready", "sandbox", check=False).returncode == 6
    assert project.stop(owner) == 0


def test_a_database_that_would_use_numbers_again_is_refused_over_a_base(make_project, stand_in):
    project = make_project(MOUNTED.format(program=stand_in).replace("mount.path", 'base = "base"\nmount.path'))
    (project.root / "base").mkdir()
    project.helper("init")
    with sqlite3.connect(project.database()) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE name = 'fs_inode'")
    database.close()
    refused = project.helper("serve", "sandbox", check=False)
    assert refused.returncode == 7 and "nixbox::upstream::numbers" in refused.stderr, refused.stderr


def test_a_base_of_more_entries_than_it_may_have_open_is_refused(make_project, stand_in):
    project = make_project(MOUNTED.format(program=stand_in).replace("mount.path", 'base = "base"\nmount.path'))
    base = project.root / "base"
    base.mkdir()
    for number in range(300):
        (base / str(number)).touch()
    limited = ["prlimit", "--nofile=512:512", project.env["PATH"].split(":")[0] + "/nixbox-helper", "serve", "sandbox"]
    refused = project.command(*limited, check=False)
    assert refused.returncode == 7 and "nixbox::upstream::base-too-large" in refused.stderr, refused.stderr
    for number in range(100, 300):
        (base / str(number)).unlink()
    owner = project.start(*limited)
    project.helper("wait", "sandbox", "--timeout", "20")
    assert project.stop(owner) == 0


def test_a_database_in_other_hands_is_left_alone(make_project, stand_in):
    project = make_project(MOUNTED.format(program=stand_in))
    project.helper("init")
    point = project.root / "elsewhere"
    point.mkdir()
    other = project.start(sys.executable, stand_in, "mount", "--foreground", project.database(), point)
    eventually(lambda: os.path.ismount(point), 10, what="the other's mount")
    refused = project.helper("serve", "sandbox", check=False)
    assert refused.returncode == 4 and "nixbox::database::busy" in refused.stderr, refused.stderr
    assert os.path.ismount(point)
    subprocess.run(["umount", point], check=True)
    assert other.wait(5) == 0
    point.rmdir()
