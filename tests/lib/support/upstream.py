"""Upstream's own program, where AGENTFS_BIN names it: what it does to a database, with one of ours or one it made."""

import os
import subprocess
from contextlib import contextmanager

from support.needs import need
from support.waiting import eventually


class Upstream:
    """Runs in the project's root, where it keeps its own databases in `.agentfs` as well."""

    def __init__(self, project):
        self.program = need("AGENTFS_BIN")
        self.project = project
        # Its log goes to standard output otherwise.
        self.env = {**project.env, "RUST_LOG": "off"}

    def __call__(self, *args, **options):
        return self.project.command(self.program, *args, env=self.env, **options)

    @contextmanager
    def mounted(self, database, point):
        """Unmounted from outside: upstream's mount ends in order in no other way."""
        point.mkdir(parents=True, exist_ok=True)
        child = self.start(database, point)
        try:
            yield point
        finally:
            eventually(lambda: unmount(point) or child.poll() is not None, 10, what=f"{point} unmounted")
            child.wait(10)

    def start(self, database, point):
        child = self.project.start(
            self.program, "mount", "-f", database, point, env=self.env, stdout=subprocess.DEVNULL
        )
        eventually(lambda: os.path.ismount(point) or child.poll() is not None, 10, what="upstream's mount")
        assert child.poll() is None, f"upstream's mount ended with {child.returncode}"
        os.statvfs(point)
        return child

    def forget_journals(self):
        """It keeps its write-ahead log; once stock SQLite has closed the file, what was in it is in the database."""
        for database in (self.project.root / ".agentfs").glob("*.db"):
            self.project.command("sqlite3", database, "PRAGMA wal_checkpoint(TRUNCATE)")


def unmount(point):
    tool = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
    return subprocess.run([*tool, point], check=False, capture_output=True).returncode == 0
