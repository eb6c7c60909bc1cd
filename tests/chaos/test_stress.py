"""Several processes at once do everything to one tree. Afterwards the database is sound, and what is seen after a restart
is what was seen before."""

import os
import shutil
import sys

import pytest
from support import OVER, PLAIN, assert_same, chance, findings, need, scaled, seen

# Errors are answers here, too: what is looked for was just moved by another. Only some of them are.
WORKER = """
import ctypes, errno, os, random, sys, time
root, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
chance, end, done = random.Random(seed), time.monotonic() + seconds, 0
expected = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.ELOOP,
            errno.EBUSY, errno.EMLINK, errno.ENAMETOOLONG, errno.ESTALE, errno.EPERM}
held = []

def path():
    return "/".join([root, *(f"n{chance.randrange(6)}" for _ in range(chance.randrange(1, 5)))])

def write():
    with open(path(), "r+b" if chance.random() < 0.5 else "wb", buffering=0) as file:
        file.seek(chance.randrange(60_000) if chance.random() < 0.3 else 0)
        file.write(os.urandom(chance.randrange(20_000)))
        if chance.random() < 0.1:
            os.fsync(file.fileno())

def hold():
    if len(held) > 5:
        file = held.pop(chance.randrange(len(held)))
        file.write(b"late")
        file.close()
    held.append(open(path(), "r+b", buffering=0))

def listing():
    for entry in os.scandir(os.path.dirname(path())):
        entry.stat(follow_symlinks=False)

libc = ctypes.CDLL(None, use_errno=True)

def call(function, *args):
    if function(*args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def exchange():
    call(libc.renameat2, -100, os.fsencode(path()), -100, os.fsencode(path()), 2)

def allocate():
    with open(path(), "r+b", buffering=0) as file:
        mode = chance.choice((0, 3, 16))
        at, length = (ctypes.c_long(chance.randrange(1, 90_000)) for _ in range(2))
        call(libc.fallocate, file.fileno(), mode, at, length)

ops = [(12, write), (5, lambda: os.mkdir(path())), (4, lambda: os.unlink(path())), (3, lambda: os.rmdir(path())),
       (6, lambda: os.rename(path(), path())), (3, exchange), (2, allocate), (3, lambda: os.link(path(), path(), follow_symlinks=False)),
       (2, lambda: os.symlink(f"n{chance.randrange(6)}", path())), (3, lambda: os.truncate(path(), chance.randrange(90_000))),
       (2, lambda: os.chmod(path(), 0o700 | chance.randrange(0o777))), (1, lambda: os.utime(path(), (9, 9))),
       (4, hold), (4, listing), (4, lambda: open(path(), "rb").read()), (1, lambda: os.mkfifo(path() + "-fifo"))]
while time.monotonic() < end:
    (op,) = chance.choices([op for _, op in ops], [weight for weight, _ in ops])
    try:
        op()
        done += 1
    except OSError as error:
        if error.errno not in expected:
            sys.exit(f"{op}: {error}")
print(done)
"""
WORKERS = 4


@pytest.mark.timeout(scaled(180, 3600))
@pytest.mark.parametrize("config", [PLAIN, OVER], ids=["plain", "overlay"])
def test_a_tree_under_many_hands(make_project, config):
    need("fuse")
    project, random = make_project(config), chance()
    if config is OVER:
        populate(project.below, random)
        before = seen(project.below, times=True)
    owner = project.serve()
    for turn in range(scaled(2, 20)):
        workers = [
            project.start(
                *(sys.executable, "-S", "-c", WORKER, project.mount, str(random.randrange(1 << 30))),
                str(scaled(4, 30)),
                stdout=-1,
                stderr=-1,
                text=True,
            )
            for _ in range(WORKERS)
        ]
        for worker in workers:
            out, error = worker.communicate(timeout=120)
            assert worker.returncode == 0, error
            assert int(out) > 100, "nothing was done"
        tree = seen(project.mount)
        assert len(tree) > 10
        assert project.stop(owner) == 0
        assert findings(project.database()) == []
        owner = project.serve()
        assert_same(tree, seen(project.mount))
        if turn % 2 == 0:
            empty(project.mount)
    assert project.stop(owner) == 0
    if config is OVER:
        assert_same(before, seen(project.below, times=True))


def populate(folder, random):
    """In the names that the workers use."""
    for _ in range(150):
        path = folder.joinpath(*(f"n{random.randrange(6)}" for _ in range(random.randrange(2, 5))))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.randbytes(random.randrange(50_000)))
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            pass


def empty(folder):
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    assert list(folder.iterdir()) == []


def test_a_listing_while_its_folder_changes(make_project):
    """What is there throughout is listed once, neither never nor twice, whatever else comes and goes meanwhile."""
    need("fuse")
    project, random = make_project(OVER), chance()
    project.below.mkdir()
    for number in range(0, 4000, 2):
        (project.below / f"stays{number:05}").touch()
    owner = project.serve()
    for number in range(1, 4000, 2):
        (project.mount / f"stays{number:05}").touch()
    for turn in range(5):
        (project.mount / f"goes{turn}").touch()
        names = []
        with os.scandir(project.mount) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) % 50 == 0:
                    (project.mount / f"came{turn}-{random.randrange(1 << 40)}").touch()
                if len(names) == 1000:
                    (project.mount / f"goes{turn}").unlink()
        stays = [name for name in names if name.startswith("stays")]
        assert len(stays) == len(set(stays)) == 4000
    assert project.stop(owner) == 0
