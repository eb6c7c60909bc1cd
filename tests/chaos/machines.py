"""A machine with an instance that is synced: what a person does there, and what can happen meanwhile."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time

from support import HELPER, SYNCED, findings
from support.leftovers import processes_of

# What may come of a sync in trouble. Nothing else may, and each says what to do.
EXPECTED = {
    "nixbox::sync::lease": 4,
    "nixbox::sync::busy": 4,
    "nixbox::sync::conflict": 5,
    "nixbox::sync::overtaken": 5,
    "nixbox::sync::refused": 8,
    "nixbox::sync::unknown": 8,
    "nixbox::sync::unreachable": 8,
    "nixbox::sync::not-allowed": 7,
    "nixbox::sync::token": 7,
}
PATHS = ["a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "f/a"]


class Machine:
    def __init__(self, project, url, more=""):
        self.project, self.owner = project, None
        project.configure(SYNCED.format(url=url, more=more))
        project.helper("init")

    def sync(self, verb, *args, **options):
        """Its exit code 0, or a failure that is expected: its code."""
        return self.outcome(self.project.helper("sync", verb, *args, "--json", check=False, **options))

    def outcome(self, done):
        if done.returncode == 0:
            return None
        (error,) = json.loads(done.stderr)["errors"]
        assert EXPECTED.get(error["code"]) == done.returncode and error["why"] and error["help"], error
        return error["code"]

    def surely(self, verb, *args):
        """Whatever has just happened: it goes well soon."""
        failures = []
        for _ in range(8):
            failure = self.sync(verb, *args)
            if failure is None:
                return
            failures.append(failure)
            time.sleep(0.3)
        raise AssertionError(f"sync {verb}: {failures}")

    def conflicts(self):
        return {conflict["name"] for conflict in self.project.json("sync", "conflicts", "--json")["conflicts"]}

    def killed(self, verb, after):
        """The verb, its owner, and one that serves: all of them die at the same moment."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = self.project.start(HELPER, "sync", verb, **quiet)
        time.sleep(after)
        finished = child.poll() is not None
        self.kill()
        child.wait(10)
        return not finished

    def kill(self):
        for line in processes_of(self.project.base, self.project.mark):
            try:
                os.kill(int(line.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.owner:
            self.owner.wait(10)
            self.owner = None

    def serve(self):
        self.owner = self.project.serve()

    def stop(self):
        if self.owner:
            owner, self.owner = self.owner, None
            assert self.project.stop(owner) == 0

    def tree(self):
        """The content of every file, by path."""
        archive = self.project.helper("export", "--tar", "sandbox", "-", text=False).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}

    def sound(self):
        """Its tree, when nobody is at it any more and the database is what it should be."""
        self.stop()
        # What a killed owner has left.
        self.project.helper("down")
        assert findings(self.project.database()) == []
        return self.tree()

    # Each is on the disk when it returns.

    def write(self, path, content):
        if self.owner:
            target = self.project.mount / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            self._synced(target)
        else:
            if "/" in path:
                self.project.helper("fs", "mkdir", "-p", path.rpartition("/")[0])
            self.project.helper("fs", "write", path, input=content, text=False)

    def remove(self, path):
        if self.owner:
            target = self.project.mount / path
            target.unlink()
            self._synced(target.parent)
        else:
            self.project.helper("fs", "rm", path)

    def move(self, path, to):
        if self.owner:
            (self.project.mount / path).rename(self.project.mount / to)
            self._synced(self.project.mount)
        else:
            self.project.helper("fs", "mv", path, to)

    @staticmethod
    def _synced(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def work(machine, known, random, most=3):
    """Some changes, of which `known` learns as each is done."""
    for _ in range(random.randint(1, most)):
        path = random.choice(PATHS)
        match random.randrange(6):
            case 0 if path in known:
                machine.remove(path)
                del known[path]
            case 1 if path in known and "moved" not in known:
                machine.move(path, "moved")
                known["moved"] = known.pop(path)
            case _:
                content = random.randbytes(random.choice((0, 10, 4096, 5000, 100_000, 1_500_000)))
                machine.write(path, content)
                known[path] = content


def assert_equal(tree, known):
    """Says which files, rather than what is in them."""
    differ = {path: (len(tree.get(path, b"")), len(known.get(path, b""))) for path in tree.keys() | known.keys()
              if tree.get(path) != known.get(path)}  # fmt: skip
    assert not differ, differ
