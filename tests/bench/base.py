"""Over a folder: reading it, and the first write to a file of it."""

import os
import subprocess

from compare import Comparison, folder, rounds
from files import MIB, read

FILES_IN_FOLDER = 100


def run(smoke, count):
    folders, large, copied = (2, 8, 2) if smoke else (200, 256, 50)
    tree = f"{folders * FILES_IN_FOLDER} files of the base: grep -r"
    again, stat = f"{tree}, again", f"{folders * FILES_IN_FOLDER} files of the base: list and stat, cold"
    one, once_more = f"{large} MiB file of the base: read", f"{large} MiB file of the base: re-read"
    edit = f"{copied} MiB file of the base: first 4 KiB written, and fsync"
    done = Comparison()

    def play(world, number):
        world.cold()
        warm(world.root if world.name == "native" else base)
        with done.timed(stat, world):
            walk(world.root / "tree")
        for step in (tree, again):
            with done.timed(step, world):
                grep(world.root / "tree")
        for step in (one, once_more):
            with done.timed(step, world):
                assert read(world.root / "large") == large << 20
        with done.timed(edit, world), open(world.root / f"edited-{number}", "r+b", buffering=0) as file:
            file.seek(copied << 19)
            file.write(b"x" * 4096)
            os.fsync(file.fileno())

    with folder() as base:
        fill(base, folders, large, copied, count)
        rounds(count, play, base, folders * (FILES_IN_FOLDER + 1))
    yield from done.figures(against_native={one: 0.5})


def fill(base, folders, large, copied, count):
    for number in range(folders):
        inner = base / "tree" / f"d{number}"
        inner.mkdir(parents=True)
        for file in range(FILES_IN_FOLDER):
            (inner / f"f{file}").write_bytes(b"some line of text\n" * (20 + (number + file) % 200))
    for name, size in [("large", large)] + [(f"edited-{number}", copied) for number in range(count)]:
        with open(base / name, "wb") as out:
            for _ in range(size):
                out.write(MIB)


def warm(root):
    """What lies below is in memory for everybody, so that the way to it is what is compared and not the disk."""
    subprocess.run(["cat", root / "large"], stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["grep", "-rqF", "no such text", root / "tree"], check=False)


def walk(root):
    return sum(os.stat(os.path.join(at, name)).st_size for at, _, names in os.walk(root) for name in names)


def grep(root):
    done = subprocess.run(["grep", "-rcF", "no such text", root], stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 1:
        raise RuntimeError(f"grep ended with {done.returncode}")
