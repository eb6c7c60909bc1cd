"""A project in a folder of its own, with an environment of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

from support import leftovers
from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
_TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "helper/target"))
HELPER = Path(os.environ.get("NIXBOX_HELPER", _TARGET / "debug/nixbox-helper")).resolve()
OWNER = HELPER.with_name("nixbox-owner")

PLAIN = """\
version = 1

[instances.sandbox.mount]
path = ".agentfs/mnt"
"""

# The same over a folder of the project.
OVER = PLAIN.replace("[instances.sandbox.mount]", '[instances.sandbox]\nbase = "base"\n\n[instances.sandbox.mount]')


class Project:
    """Everything below one short folder: control sockets have room for 107 bytes."""

    def __init__(self, config=PLAIN):
        self.base = Path(tempfile.mkdtemp(prefix="nbx-")).resolve()
        self.mark = uuid.uuid4().hex
        self.root = self._folder("p")
        self.home = self._folder("home")
        self.runtime = self._folder("run", 0o700)
        self.children = []
        # A clean one: what the machine that runs the tests exports must not decide how they end.
        self.env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PATH": f"{HELPER.parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            leftovers.MARK: self.mark,
        }
        if config is not None:
            self.configure(config)

    def _folder(self, name, mode=0o755):
        path = self.base / name
        path.mkdir()
        path.chmod(mode)
        return path

    def configure(self, text):
        (self.root / "nixbox.toml").write_text(text)

    @property
    def mount(self):
        return self.root / ".agentfs/mnt"

    @property
    def below(self):
        """The base of an instance that is configured as `OVER`."""
        return self.root / "base"

    def database(self, name="sandbox"):
        return self.root / ".agentfs" / f"{name}.db"

    # Running things

    def start(self, *argv, **options):
        """A program beside the test, ended at the latest with it."""
        options.setdefault("cwd", self.root)
        options.setdefault("env", self.env)
        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen([str(arg) for arg in argv], **options)
        self.children.append(child)
        return child

    def command(self, *argv, check=True, timeout=60, env=None, text=True, **options):
        options.setdefault("cwd", self.root)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [str(arg) for arg in argv],
            env={**self.env, **(env or {})},
            capture_output=True,
            text=text,
            timeout=timeout,
            check=False,
            **options,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def helper(self, *args, **options):
        return self.command(HELPER, *args, **options)

    def json(self, *args, **options):
        return json.loads(self.helper(*args, **options).stdout)

    def exports(self, *args, **options):
        return self.json("env", *args, "--format", "json", **options)

    # Owners

    def serve(self, name="sandbox", ready=True, **options):
        owner = self.start(HELPER, "serve", name, **options)
        if ready:
            self.helper("wait", name, "--timeout", "20")
        return owner

    def stop(self, child, sig=signal.SIGTERM, within=4.0):
        """Its exit code, which it owes within the four seconds that process managers leave it."""
        child.send_signal(sig)
        try:
            return child.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there {within} s after {signal.Signals(sig).name}") from None

    def journals(self):
        """What SQLite keeps beside a database until it is closed in order."""
        return sorted(path.name for path in (self.root / ".agentfs").glob("*.db-*"))

    # What is left

    def leftovers(self):
        return leftovers.Leftovers.of(self.base, self.mark)

    def assert_nothing_left(self, within=2.0):
        """A process that was told to end may need a moment to be gone."""
        try:
            eventually(lambda: not self.leftovers(), within=within)
        except AssertionError:
            raise AssertionError(str(self.leftovers())) from None

    def close(self):
        try:
            leftovers.clean(self.base, self.mark)
        finally:
            for child in self.children:
                child.wait(5)
                for stream in (child.stdin, child.stdout, child.stderr):
                    if stream:
                        stream.close()
            shutil.rmtree(self.base, ignore_errors=True)
