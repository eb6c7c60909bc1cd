"""Upstream's SDKs, each in a process of its own: their database library locks for as long as a process lives."""

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from support import need

HERE = Path(__file__).parent


class Sdk:
    """One SDK and one database: each method opens it, makes its calls and closes it again."""

    def __init__(self, name, database):
        self.name = name
        self.database = database
        if name.startswith("npm"):
            # The one of today, or an older one under the name that it is installed by.
            package = {"npm": "agentfs-sdk", "npm-0.5": "agentfs-sdk-0-5"}[name]
            modules = Path(os.environ.get("NIXBOX_TEST_NODE_MODULES", "node_modules")).resolve()
            if not (modules / package).is_dir():
                pytest.skip(f"{package} from npm is not installed (tests/setup)")
            self.argv = [need("node"), HERE / "sdk_driver.mjs", database, modules, package]
        else:
            pytest.importorskip("agentfs_sdk", reason="agentfs-sdk from PyPI is not installed (tests/setup)")
            self.argv = [sys.executable, HERE / "sdk_driver.py", database]

    def run(self, *calls):
        return subprocess.run(
            self.argv, input=json.dumps(calls), capture_output=True, text=True, timeout=60, check=False
        )

    def calls(self, *calls):
        done = self.run(*calls)
        assert done.returncode == 0, f"{self.name}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def call(self, *call):
        return self.calls(call)[0]

    def read(self, *paths):
        return [b64decode(content) for content in self.calls(*(("read", path) for path in paths))]

    def write(self, files):
        self.calls(*(("write", path, b64encode(content).decode()) for path, content in files.items()))

    def hold(self):
        """A process that has the database open until it is ended."""
        child = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        child.stdin.write(json.dumps([["hold", "/"]]).encode())
        child.stdin.close()
        for line in child.stderr:
            if line.strip() == b"held":
                return child
        raise AssertionError(f"{self.name} ended with {child.wait()}")
