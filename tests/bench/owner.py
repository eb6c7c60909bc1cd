"""What an owner takes: memory, and turns of the processor while nobody asks anything."""

import os
import re
import sqlite3
import time
from pathlib import Path

from compare import folder
from measure import Figure
from worlds import Ours

PER_FOLDER = 1000

EVERY_SURFACE = """\
[instances.sandbox.http]
[instances.sandbox.nfs]
enable = true
"""


def run(smoke, _):
    yield from idle(0.5 if smoke else 5)
    yield opening(5_000 if smoke else 200_000, 1 if smoke else 5)
    entries = 5_000 if smoke else 1_000_000
    yield large_base(entries)
    yield large_database(entries)


def idle(seconds):
    world = Ours(more=EVERY_SURFACE)
    try:
        (world.root / "file").write_text("text")
        os.listdir(world.root)
        # The last batch is committed, the log folded in, the threads of the start have gone.
        time.sleep(2)
        before = turns(world.pid)
        time.sleep(seconds)
        yield Figure(f"wake-ups of an idle owner in {seconds:g} s", "turns", [turns(world.pid) - before], {"max": 0})
        yield Figure("RSS of an idle owner", "MB", [rss(world.pid)], {"max": 15})
    finally:
        world.close()


def large_base(entries):
    with folder() as base:
        for number in range(entries // PER_FOLDER):
            inner = base / f"d{number}"
            inner.mkdir()
            for file in range(PER_FOLDER):
                os.close(os.open(inner / f"file-{file:06}.txt", os.O_CREAT | os.O_WRONLY))
        return walked(f"RSS after a walk over a base of {entries} files", Ours(base), entries)


def opening(entries, rounds):
    world = Ours()
    try:
        world.project.stop(world.owner)
        fill(world, entries)
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            world._serve()
            times.append((time.perf_counter() - begun) * 1000)
            world.project.stop(world.owner)
        return Figure(f"serve to ready over a database of {entries} files", "ms", times)
    finally:
        world.close()


def large_database(entries):
    world = Ours()
    world.project.stop(world.owner)
    fill(world, entries)
    world._serve()
    return walked(f"RSS after a walk over a database of {entries} files", world, entries)


def fill(world, entries):
    """From outside, as making a million files through any mount takes minutes."""
    rows = sqlite3.connect(world.project.database())
    folders = entries // PER_FOLDER
    inodes = ((2 + n, 0o40755, 2) for n in range(folders)), ((2 + folders + n, 0o100644, 1) for n in range(entries))
    names = (
        ((f"d{n}", 1, 2 + n) for n in range(folders)),
        ((f"file-{n % PER_FOLDER:06}.txt", 2 + n // PER_FOLDER, 2 + folders + n) for n in range(entries)),
    )
    for many in inodes:
        rows.executemany("INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) VALUES (?, ?, ?, 0, 0, 0)", many)
    for many in names:
        rows.executemany("INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (?, ?, ?)", many)
    rows.execute("UPDATE fs_inode SET nlink = 2 + ? WHERE ino = 1", (folders,))
    rows.commit()
    rows.close()


def walked(name, world, entries):
    try:
        seen = 0
        for at in os.scandir(world.root):
            for entry in os.scandir(at.path):
                entry.stat()
                seen += 1
        assert seen == entries, seen
        return Figure(name, "MB", [rss(world.pid)], {"max": 200})
    finally:
        world.close()


def turns(pid):
    """How often any of its threads got the processor."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(count) for count in re.findall(r"voluntary_ctxt_switches:\t(\d+)", text))


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
