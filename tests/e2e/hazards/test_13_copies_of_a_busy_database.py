"""Copying a database and its journal while it is written to tears them apart. A stopped owner's is whole, each time."""

import random
import shutil
import signal
import sqlite3
import sys
import time

from support import need

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
        database = sqlite3.connect(copy / "sandbox.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        lost = "SELECT count(*) FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM fs_inode)"
        assert database.execute(lost).fetchone() == (0,)
        database.close()
