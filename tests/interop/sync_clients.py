"""Upstream's sync clients, which know rows and no files: what AgentFS's tables say is put together here, once for both."""

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import need

HERE = Path(__file__).parent


@contextmanager
def sync_client(name, database, server):
    """One that has bootstrapped itself from the remote."""
    argv = [sys.executable, HERE / "sync_driver.py", database, server.url]
    if name == "npm":
        modules = Path(os.environ.get("NIXBOX_TEST_NODE_MODULES", "node_modules")).resolve()
        if not (modules / "@tursodatabase/sync").is_dir():
            pytest.skip("@tursodatabase/sync from npm is not installed (tests/setup)")
        argv = [need("node"), HERE / "sync_driver.mjs", database, server.url, modules]
    else:
        pytest.importorskip("turso.sync", reason="pyturso from PyPI is not installed (tests/setup)")
    # Not among the arguments, which everybody can read.
    env = {**os.environ, "SYNC_TOKEN": server.token or ""}
    child = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Client(child)
        child.stdin.close()
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.wait(5)
        for stream in (child.stdin, child.stdout, child.stderr):
            stream.close()


class Client:
    def __init__(self, child):
        self.child = child

    def call(self, *call):
        self.child.stdin.write(json.dumps(call) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, self.child.stderr.read()
        return json.loads(line)

    def rows(self, sql, *args):
        bound = [{"blob": b64encode(arg).decode()} if isinstance(arg, bytes) else arg for arg in args]
        rows = self.call("rows", sql, bound)
        return [[b64decode(value["blob"]) if isinstance(value, dict) else value for value in row] for row in rows]

    def tree(self):
        """The content of every file, by path."""
        entries = self.rows("SELECT parent_ino, name, d.ino, mode, size FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino")
        content = {}
        for ino, data in self.rows("SELECT ino, data FROM fs_data ORDER BY ino, chunk_index"):
            content[ino] = content.get(ino, b"") + data
        files, folders = {}, [(1, "")]
        while folders:
            folder, path = folders.pop()
            for parent, name, ino, mode, size in entries:
                if parent != folder:
                    continue
                if mode & 0o170000 == 0o040000:
                    folders.append((ino, f"{path}{name}/"))
                else:
                    files[path + name] = content.get(ino, b"")
                    assert len(files[path + name]) == size, path + name
        return files

    def write(self, name, content):
        """A new file at the top, as the SDKs make one."""
        ((chunk,),) = self.rows("SELECT value FROM fs_config WHERE key = 'chunk_size'")
        ((ino,),) = self.rows(
            "INSERT INTO fs_inode (mode, nlink, uid, gid, size, atime, mtime, ctime) "
            "VALUES (?, 1, 0, 0, ?, 1700000000, 1700000000, 1700000000) RETURNING ino",
            0o100644,
            len(content),
        )
        self.rows("INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (?, 1, ?)", name, ino)
        for index in range(0, len(content), int(chunk)):
            sql = "INSERT INTO fs_data (ino, chunk_index, data) VALUES (?, ?, ?)"
            self.rows(sql, ino, index // int(chunk), content[index : index + int(chunk)])
