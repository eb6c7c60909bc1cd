"""kill -9 under write load: what was fsynced, or is not of this very moment, is there after the next start, which repairs
the mount itself."""

import os
import signal
import sys
import threading
import time

import pytest
from support import HELPER, OVER, PLAIN, assert_same, chance, eventually, findings, need, scaled, seen

ROUNDS = scaled(20, 200)

# Says a name, and the time, once the file of that name is written: fsynced, or only closed. Content follows from names.
WRITER = """
import os, sys, time
mount, kind, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
out = os.open(sys.argv[4], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
try:
    while True:
        n += 1
        with open(f"{mount}/{kind}{n}", "wb", buffering=0) as file:
            file.write((f"{n}," * (n % 9000)).encode())
            if kind == "synced":
                os.fsync(file.fileno())
        os.write(out, f"{n} {time.monotonic()}\\n".encode())
except OSError:
    pass
"""
# An acknowledged change is durable after this long though nobody has asked for it, on a machine that has time for it.
SOON = 0.1


class Machine(threading.Thread):
    """Writes a little, again and again, beside the database: by what that is late, so may an owner be."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.ticks, self.over, self.path = [], threading.Event(), folder / "machine"

    def run(self):
        with open(self.path, "ab", buffering=0) as file:
            while not self.over.is_set():
                begun = time.monotonic()
                time.sleep(0.005)
                file.write(bytes(4096))
                self.ticks.append((time.monotonic(), time.monotonic() - begun - 0.005))

    def late(self, moment):
        """The longest it was held up in the second before."""
        eventually(lambda: self.ticks and self.ticks[-1][0] > moment, what="the machine")
        return max(late for when, late in self.ticks if when > moment - 1)


class Writer:
    def __init__(self, project, kind):
        self.project, self.kind = project, kind
        self.said = project.base / kind
        self.said.touch()
        self.lost = set()

    def names(self):
        return [(number, float(when)) for number, when in (line.split() for line in self.said.read_text().splitlines())]

    def start(self):
        last = max((int(number) for number, _ in self.names()), default=0)
        self.before = len(self.names())
        self.child = self.project.start(
            sys.executable, "-S", "-c", WRITER, self.project.mount, self.kind, str(last), self.said
        )
        eventually(lambda: len(self.names()) > self.before, what="a file written")

    def ended(self, since):
        """Only what nobody fsynced, and only what is younger than a moment, may be gone."""
        assert self.child.wait(10) == 0
        if self.kind == "closed":
            self.lost |= {number for number, when in self.names()[self.before :] if when > since}

    def check(self):
        """What was written since it was last looked, whole."""
        for number, _ in self.names()[getattr(self, "before", 0) :]:
            path = self.project.mount / f"{self.kind}{number}"
            if number in self.lost and not path.exists():
                continue
            content = path.read_bytes()
            whole = (f"{number}," * (int(number) % 9000)).encode()
            assert content == whole or number in self.lost, f"{path.name} has {len(content)} of {len(whole)} bytes"


@pytest.mark.timeout(scaled(180, 3600))
@pytest.mark.parametrize("config", [PLAIN, OVER], ids=["plain", "overlay"])
def test_nothing_fsynced_or_old_is_lost(make_project, config):
    """P4: half of the rounds over a base, half of them not."""
    need("fuse")
    project = make_project(config)
    if config is OVER:
        project.below.mkdir()
    writers, random = [Writer(project, "synced"), Writer(project, "closed")], chance()
    machine = Machine(project.base)
    machine.start()
    for _ in range(ROUNDS // 2):
        owner = project.serve()
        for writer in writers:
            writer.check()
            writer.start()
        time.sleep(random.uniform(0, 0.3))
        killed = time.monotonic()
        owner.kill()
        owner.wait(5)
        late = machine.late(killed)
        print(f"held up by {late * 1000:.0f} ms")
        for writer in writers:
            writer.ended(killed - SOON - late)
    machine.over.set()
    machine.join()
    owner = project.serve()
    for writer in writers:
        writer.before = 0
        writer.check()
    assert project.stop(owner) == 0
    assert findings(project.database()) == []
    assert len(writers[0].names()) >= ROUNDS // 2 and len(writers[1].names()) > len(writers[1].lost)


@pytest.mark.timeout(scaled(180, 1800))
def test_a_folder_of_a_base_that_is_moved_is_in_one_place(make_project):
    """It is copied up piece by piece first: killed at any moment, all of it is where it was, or where it was to go."""
    need("fuse")
    project, random = make_project(OVER), chance()
    large = project.below / "old/inner"
    large.mkdir(parents=True)
    for number in range(150):
        (large / str(number)).write_bytes(random.randbytes(100_000))
    before, content = seen(project.below, times=True), seen(project.below / "old")
    whole, places = None, set()
    for _ in range(scaled(8, 100)):
        owner = project.serve()
        begun = time.monotonic()
        mover = project.start("mv", project.mount / "old", project.mount / "new")
        if whole is None:
            assert mover.wait(60) == 0
            whole = time.monotonic() - begun
            time.sleep(0.25)
        else:
            time.sleep(random.uniform(0, whole))
        owner.kill()
        owner.wait(5)
        # Done, or told that it is not; it does not hang on a mount that is dead.
        mover.wait(10)
        owner = project.serve()
        (place,) = os.listdir(project.mount)
        places.add(place)
        assert_same(content, seen(project.mount / place))
        assert project.stop(owner) == 0
        assert findings(project.database()) == []
        # From the base again.
        project.database().unlink()
    assert places == {"old", "new"}
    assert_same(before, seen(project.below, times=True))


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
