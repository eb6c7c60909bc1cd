"""What a project has left on the machine: the promise is nothing, whatever happened to it."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.waiting import eventually

MARK = "NIXBOX_TEST_MARK"


@dataclass
class Leftovers:
    """One look. Empty is what it should be."""

    mounts: list = field(default_factory=list)
    processes: list = field(default_factory=list)
    sockets: list = field(default_factory=list)
    files: list = field(default_factory=list)

    def __bool__(self):
        return bool(self.mounts or self.processes or self.sockets or self.files)

    def __str__(self):
        shown = []
        for kind in ("mounts", "processes", "sockets", "files"):
            shown += [f"{kind} left: {item}" for item in getattr(self, kind)]
        return "\n".join(shown) or "nothing left"

    @classmethod
    def of(cls, base, mark):
        return cls(mounts_below(base), processes_of(base, mark), listening_below(base), files_below(base))


def mounts_below(base):
    base = os.fsencode(str(base))
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        path = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), line.split(b" ")[4])
        if path == base or path.startswith(base + b"/"):
            found.append(os.fsdecode(path))
    return found


def processes_of(base, mark):
    """Whatever inherited the mark or names the folder, the test itself left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ, argv = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        # A zombie has neither any more; it is its parent's business.
        if f"{MARK}={mark}".encode() in environ.split(b"\0") or os.fsencode(str(base)) in argv:
            found.append(f"{entry.name} {argv.replace(bytes(1), b' ').decode(errors='replace').strip()}")
    return found


def listening_below(base):
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    names = (line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8)
    return sorted({name for name in names if name.startswith(f"{base}/")})


# Databases and logs are kept on purpose; so is the journal that a killed owner leaves, for it holds data.
TRANSIENT = re.compile(r"\.sock$|/owner\.lock$|\.token$|/\..*\.tmp$|/run/.*\.json$")


def files_below(base):
    """Sockets, locks, tokens, records, half-written files: nothing of it outlives an owner."""
    mounts, found = set(mounts_below(base)), []
    for folder, folders, names in os.walk(base):
        # By name: to look at a dead mount can hang.
        folders[:] = [name for name in folders if os.path.join(folder, name) not in mounts]
        found += [path for path in (os.path.join(folder, name) for name in names) if TRANSIENT.search(path)]
    return sorted(found)


def clean(base, mark):
    """By pid and by mountpoint, only what is this project's."""
    for line in processes_of(base, mark):
        try:
            os.kill(int(line.split()[0]), signal.SIGKILL)
        except ProcessLookupError:
            pass
    for path in reversed(mounts_below(base)):
        tool = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
        subprocess.run([*tool, path], check=False, capture_output=True)
    eventually(lambda: not processes_of(base, mark) and not mounts_below(base), what="cleaning up")
