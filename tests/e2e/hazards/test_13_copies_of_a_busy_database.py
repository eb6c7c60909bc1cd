"""Copying a database and its journal while it is written to tears them apart. A stopped owner's is whole, each time, and so is
what `export` makes of one that is as busy as it likes."""

import mmap
import os
import random
import shutil
import signal
import sqlite3
import sys
import tarfile
import time
from contextlib import closing

from support import eventually, findings, need

# From inside, so that it ends with the mount and does not go on in the folder below.
BUSY = """
import os, sys
os.chdir(sys.argv[1])
n = 0
while True:
    n += 1
    try:
        with open(f"f{n % 400}", "wb") as file:
            file.write(os.urandom(n % 30000))
    except OSError:
        break
"""


def test_a_copy_of_a_stopped_owner_is_whole(project):
    need("fuse")
    owner = project.serve()
    writers = [project.start(sys.executable, "-S", "-c", BUSY, project.mount) for _ in range(2)]
    copies = project.base / "copies"
    eventually(lambda: list(project.mount.iterdir()), 20, what="the writers")
    with open(project.mount / "on the disk", "w") as first:
        os.fsync(first.fileno())
    for turn in range(10):
        time.sleep(random.uniform(0.02, 0.15))
        owner.send_signal(signal.SIGSTOP)
        (copies / str(turn)).mkdir(parents=True)
        for path in project.database().parent.glob("sandbox.db*"):
            # Memory that the owner shares with other readers of the journal is made anew from the journal.
            if not path.name.endswith("-shm"):
                shutil.copy(path, copies / str(turn))
        owner.send_signal(signal.SIGCONT)
    assert project.stop(owner) == 0
    assert [writer.wait(5) for writer in writers] == [0, 0]
    for copy in copies.iterdir():
        assert is_whole(copy / "sandbox.db") > 0


def test_an_export_of_a_busy_one_is_whole(over):
    need("fuse")
    (over.below / "below").write_text("below")
    owner = over.serve()
    writers = [over.start(sys.executable, "-S", "-c", BUSY, over.mount) for _ in range(2)]
    for turn in range(6):
        time.sleep(random.uniform(0.02, 0.15))
        database, archive, folder = (over.root / f"{turn}.{kind}" for kind in ("db", "tar", "dir"))
        over.helper("export", "sandbox", "--db", database)
        assert is_whole(database) >= turn
        over.helper("export", "sandbox", "--tar", archive)
        with tarfile.open(archive) as told:
            for member in told:
                if member.isfile():
                    assert len(told.extractfile(member).read()) == member.size
        over.helper("export", "sandbox", "--dir", folder)
        assert (folder / "below").read_text() == "below"
    assert over.stop(owner) == 0
    assert [writer.wait(5) for writer in writers] == [0, 0]


def test_an_export_has_what_is_only_mapped_yet(project):
    """What a program has written through a mapping is the kernel's until it is asked for."""
    need("fuse")
    owner = project.serve()
    (project.mount / "f").write_bytes(b"." * 10_000)
    with open(project.mount / "f", "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[5000:5006] = b"mapped"
        project.helper("export", "sandbox", "--dir", project.root / "out")
        assert b"mapped" in (project.root / "out/f").read_bytes()
    assert project.stop(owner) == 0


def is_whole(path):
    """How many files there are."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert findings(path) == []
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM fs_dentry").fetchone()[0]
