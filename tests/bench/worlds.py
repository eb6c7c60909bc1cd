"""The same folder three ways: native, as a mount of ours, and as one of upstream's CLI where AGENTFS_BIN names it."""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import Project, eventually, need

CONFIG = """\
version = 1
[instances.sandbox]
{base}
[instances.sandbox.mount]
path = "{path}"
"""


class Native:
    """The disk itself. Over a base it works on a copy, as everybody may change what is there."""

    name = "native"

    def __init__(self, base=None):
        self.home = Path(tempfile.mkdtemp(prefix="nbx-native-"))
        self.root = self.home / "root"
        if base is None:
            self.root.mkdir()
        else:
            subprocess.run(["cp", "-a", "--reflink=never", base, self.root], check=True)

    def cold(self):
        """Out of the page cache with everything, as far as a file says so for itself: other caches are everybody's."""
        os.sync()
        for folder, _, names in os.walk(self.root):
            for name in names:
                fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)


class Ours:
    name = "nixbox"

    def __init__(self, base=None, more=""):
        need("fuse")
        self.project = Project(config=None)
        path = self.project.base / "mnt"
        self.project.configure(CONFIG.format(base=f"base = '{base}'" if base else "", path=path) + more)
        self.root = path
        self.pid = None
        self._serve()

    def _serve(self):
        self.owner = self.project.serve()
        self.pid = self.owner.pid

    def cold(self):
        """Unmounted and mounted again: the kernel knows nothing of it, the owner no more than what is on the disk."""
        self.project.stop(self.owner)
        self._serve()

    def close(self):
        self.project.close()


class Upstream:
    name = "upstream"

    def __init__(self, base=None):
        self.cli = need("AGENTFS_BIN")
        self.home = Path(tempfile.mkdtemp(prefix="nbx-upstream-"))
        self.root = self.home / "mnt"
        self.root.mkdir()
        words = ["--base", str(base)] if base else []
        self._run("init", *words, "world")
        self._mount()

    def _run(self, *words):
        env = {**os.environ, "RUST_LOG": "off"}
        subprocess.run([self.cli, *words], cwd=self.home, env=env, check=True, capture_output=True)

    def _mount(self):
        words = [self.cli, "mount", "--foreground", self.home / ".agentfs/world.db", self.root]
        many = descriptors()
        self.owner = subprocess.Popen(
            words,
            cwd=self.home,
            env={**os.environ, "RUST_LOG": "off"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (many, many)),
        )
        eventually(lambda: os.path.ismount(self.root), 20, what="upstream's mount")

    def _unmount(self):
        subprocess.run(["fusermount3", "-u", self.root], check=True, capture_output=True)
        self.owner.wait(20)

    def cold(self):
        self._unmount()
        self._mount()

    def close(self):
        try:
            self._unmount()
        except (subprocess.SubprocessError, OSError):
            self.owner.kill()
            self.owner.wait(5)
            subprocess.run(["fusermount3", "-uz", self.root], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def known(entries):
    """Upstream's CLI is no package of any registry, so it takes part where it is; and where it may hold a descriptor
    for each entry of its base, which it does."""
    able = os.environ.get("AGENTFS_BIN") and entries < descriptors() - 100
    return [Native, Ours, Upstream] if able else [Native, Ours]
