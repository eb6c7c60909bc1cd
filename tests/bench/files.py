"""P13: small files and one large one, in a database of its own."""

import os

from compare import Comparison, rounds

FLOORS = {"create": 4, "rm": 4, "read": 2.5, "stat": 15, "write": 1.2, "re-read": 10}
MIB = bytes(range(256)) * 4096


def run(smoke, count):
    small, large = (50, 8) if smoke else (2000, 256)
    names = {
        "create": f"{small} × 4 KiB: create",
        "stat, cold": f"{small} files: list and stat, cold",
        "stat": f"{small} files: list and stat, again",
        "read": f"{small} × 4 KiB: read, cold",
        "rm": f"{small} files: rm",
        "write": f"{large} MiB: write and fsync",
        "re-read": f"{large} MiB: re-read",
        "unlink": f"{large} MiB: rm",
    }
    done = Comparison()

    def play(world, number):
        folder = world.root / f"small-{number}"
        with done.timed(names["create"], world):
            create(folder, small)
        world.cold()
        for step in ("stat, cold", "stat"):
            with done.timed(names[step], world):
                assert sum(entry.stat().st_size for entry in os.scandir(folder)) == small * 4096
        with done.timed(names["read"], world):
            assert sum(len((folder / f"f{n}").read_bytes()) for n in range(small)) == small * 4096
        with done.timed(names["rm"], world):
            remove(folder)
        file = world.root / "large"
        with done.timed(names["write"], world):
            write(file, large)
        with done.timed(names["re-read"], world):
            assert read(file) == large << 20
        with done.timed(names["unlink"], world):
            file.unlink()

    rounds(count, play)
    yield from done.figures(against_upstream={names[step]: floor for step, floor in FLOORS.items()})


def create(folder, count):
    folder.mkdir()
    content = MIB[:4096]
    for n in range(count):
        fd = os.open(folder / f"f{n}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, content)
        os.close(fd)


def remove(folder):
    for entry in list(os.scandir(folder)):
        os.unlink(entry.path)
    folder.rmdir()


def write(file, size):
    with open(file, "wb", buffering=0) as out:
        for _ in range(size):
            out.write(MIB)
        os.fsync(out.fileno())


def read(file):
    total = 0
    buffer = bytearray(1 << 20)
    with open(file, "rb", buffering=0) as source:
        while count := source.readinto(buffer):
            total += count
    return total
