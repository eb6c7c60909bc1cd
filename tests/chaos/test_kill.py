"""kill -9 under write load: what was fsynced is there after the next start, which repairs the mount itself."""

import random
import signal
import sqlite3
import sys
import time

from support import HELPER, eventually, need

ROUNDS = 20

# Says a name only after the file of that name is fsynced. Its content follows from its name.
WRITER = """
import os, sys
mount, n = sys.argv[1], int(sys.argv[2])
out = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
try:
    while True:
        n += 1
        with open(f"{mount}/f{n}", "wb", buffering=0) as file:
            file.write((f"{n}," * (n % 9000)).encode())
            os.fsync(file.fileno())
        os.write(out, f"{n}\\n".encode())
except OSError:
    pass
"""


def test_no_fsynced_file_is_lost(project):
    need("fuse")
    said = project.base / "said"
    said.touch()
    for attempt in range(ROUNDS):
        owner = project.serve()
        names = said.read_text().split()
        for name in names:
            content = (project.mount / f"f{name}").read_bytes()
            assert content == (f"{name}," * (int(name) % 9000)).encode(), f"f{name} after {attempt} kills"
        writer = project.start(
            sys.executable, "-S", "-c", WRITER, str(project.mount), names[-1] if names else "0", str(said)
        )
        eventually(lambda: len(said.read_text().split()) > len(names), what="a file written")
        time.sleep(random.uniform(0, 0.15))
        owner.kill()
        owner.wait(5)
        assert writer.wait(10) == 0
    assert project.stop(project.serve()) == 0
    database = sqlite3.connect(project.database())
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (stored,) = database.execute("SELECT count(*) FROM fs_dentry WHERE name GLOB 'f[0-9]*'").fetchone()
    database.close()
    assert stored >= len(said.read_text().split()) >= ROUNDS


def test_the_next_start_repairs_what_a_kill_left(project):
    need("fuse")
    owner = project.serve()
    # Never fsynced: what is older than a tenth of a second is safe all the same.
    (project.mount / "kept").write_text("kept")
    time.sleep(0.25)
    owner.kill()
    owner.wait(5)
    (row,) = project.json("ps", "--json")["instances"]
    assert row["state"] in ("stale", "stopped") and not row["ready"]
    assert project.helper("ready", "sandbox", check=False).returncode != 0
    owner = project.serve()
    assert (project.mount / "kept").read_text() == "kept"
    assert project.stop(owner) == 0


def test_down_repairs_what_a_kill_left(project):
    need("fuse")
    owner = project.serve()
    owner.kill()
    owner.wait(5)
    project.helper("down")
    project.assert_nothing_left()


def test_a_killed_supervisor_leaves_owners_that_down_finds(project):
    """The owner outlives a `kill -9` of `up`, or ends with it. Either way `down` leaves nothing."""
    need("fuse")
    up = project.start(HELPER, "up")
    project.helper("wait", "sandbox", "--timeout", "20")
    up.send_signal(signal.SIGKILL)
    up.wait(5)
    project.helper("down")
    project.assert_nothing_left()


def test_a_stopped_owner_does_not_hang_who_asks(project):
    """SIGSTOP is what a wedged owner looks like; a probe that hangs would pile up under a process manager."""
    need("fuse")
    owner = project.serve()
    owner.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    assert project.helper("ready", "sandbox", "--timeout", "1", check=False).returncode != 0
    assert time.monotonic() - begun < 2.5
    (row,) = project.json("ps", "--json")["instances"]
    assert row["state"] == "silent" and row["pid"] == owner.pid
    assert project.helper("env").returncode == 0
    project.helper("down", "--timeout", "1")
    assert owner.wait(5) == -signal.SIGKILL
    project.assert_nothing_left()
