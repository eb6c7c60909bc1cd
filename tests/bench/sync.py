"""Push and pull between two machines and the sync server, ours and upstream's, and what a thousand of them leave behind."""

import os
import subprocess
from pathlib import Path

from compare import Comparison
from measure import Figure
from support import SYNCED, Project, eventually, need, sync_server
from support.upstream import unmount

KIB = bytes(range(256)) * 4


class Ours:
    """Nobody serves the instance: each verb opens it and closes it again."""

    name = "nixbox"

    def __init__(self, project, url):
        self.project = project
        project.configure(SYNCED.format(url=url, more=""))
        project.helper("init")

    def fill(self, folder):
        self.project.helper("import", "sandbox", folder)

    def sync(self, verb):
        self.project.helper("sync", verb, timeout=600)

    def kept(self):
        """Bytes of the database, and of all that is kept of the remote."""
        folder = self.project.root / ".agentfs"
        database = sum(path.stat().st_size for path in folder.glob("sandbox.db*"))
        return database, sum(path.stat().st_size for path in folder.rglob("sync/*/*"))


class Upstream:
    name = "upstream"

    def __init__(self, project, url):
        self.project, self.cli = project, need("AGENTFS_BIN")
        self.run("init", "world", "--sync-remote-url", url)

    def run(self, *words):
        self.project.command(self.cli, *words, env={"RUST_LOG": "off"}, timeout=600)

    def fill(self, folder):
        """By its mount: its `fs write` takes a program for each file."""
        point = self.project.base / "mnt"
        point.mkdir(exist_ok=True)
        words = [self.cli, "mount", "--foreground", ".agentfs/world.db", point]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = self.project.start(*words, env={**self.project.env, "RUST_LOG": "off"}, **quiet)
        eventually(lambda: os.path.ismount(point), 20, what="upstream's mount")
        subprocess.run(["cp", "-r", f"{folder}/.", point], check=True)
        eventually(lambda: unmount(point), 20, what="upstream's mount gone")
        child.wait(20)

    def sync(self, verb):
        self.run("sync", "world", verb)


def run(smoke, count):
    one, many, large = (1, 20, 1) if smoke else (1, 1000, 100)
    loads = {"1 file": (one, 1), f"{many} files of 1 KiB": (many, 1), f"1 file of {large} MB": (1, large * 1000)}
    done = Comparison()
    worlds = [Ours, Upstream] if os.environ.get("AGENTFS_BIN") else [Ours]
    for number in range(count):
        for load, (files, kib) in loads.items():
            for world in worlds:
                exchange(done, world, load, files, kib, number)
    yield from done.figures()
    yield from growth(5 if smoke else 1000)


def exchange(done, world, load, files, kib, number):
    """Both machines have something of the remote already."""
    projects = [Project(None) for _ in range(3)]
    try:
        with sync_server(projects[0]) as server:
            here = world(projects[1], server.url)
            put(here, "before", 1, 1, 0)
            here.sync("push")
            there = world(projects[2], server.url)
            there.sync("pull")
            put(here, "load", files, kib, number)
            with done.timed(f"push, {load}", world):
                here.sync("push")
            with done.timed(f"pull, {load}", world):
                there.sync("pull")
    finally:
        for project in projects:
            project.close()


def put(machine, name, files, kib, seed):
    folder = machine.project.base / f"source-{name}"
    (folder / name).mkdir(parents=True)
    for number in range(files):
        (folder / name / f"f{number}").write_bytes(content(kib, number + seed))
    machine.fill(folder)


def content(kib, seed):
    """Not twice the same, as no two files of a project are."""
    return b"".join((seed + piece).to_bytes(8, "big") + KIB[8:] for piece in range(kib))


def growth(cycles):
    """The same few files changed again and again, by either side."""
    projects = [Project(None) for _ in range(3)]
    try:
        with sync_server(projects[0]) as server:
            machines = [Ours(project, server.url) for project in projects[1:]]
            sizes = []
            for cycle in range(cycles):
                writer, reader = machines[cycle % 2], machines[1 - cycle % 2]
                writer.project.helper("fs", "write", f"f{cycle % 10}", input=f"{cycle}" * 2000)
                writer.sync("push")
                reader.sync("pull")
                if cycle in (min(99, cycles // 10), cycles - 1):
                    sizes.append([machine.kept() for machine in machines])
            wal = Path(f"{server.file}-wal").stat().st_size
    finally:
        for project in projects:
            project.close()
    first, last = ([max(each) / 1e6 for each in zip(*kept)] for kept in sizes)
    name = f"{cycles} cycles of write, push, pull"
    yield Figure(f"{name}: the database", "MB", [last[0]], {"max": first[0] * 1.5 + 1}, f"{first[0]:.2f} after a tenth")
    yield Figure(f"{name}: what is kept of the remote", "MB", [last[1]], {"max": first[1] * 1.5 + 1}, f"{first[1]:.2f} after a tenth")  # fmt: skip
    yield Figure(f"{name}: the server's own log", "MB", [wal / 1e6])
