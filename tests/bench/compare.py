"""Steps done in turn by each of the worlds, and the ratios of one run."""

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from measure import Figure
from worlds import known


class Comparison:
    """Times by step and world. A round of one world follows the same round of another, so that all see one machine."""

    def __init__(self):
        self.times = {}

    @contextmanager
    def timed(self, step, world):
        begun = time.perf_counter()
        yield
        self.times.setdefault(step, {}).setdefault(world.name, []).append((time.perf_counter() - begun) * 1000)

    def figures(self, against_upstream=None, against_native=None):
        """`against_…`: by step, how many times as fast as that we are to be."""
        for step, worlds in self.times.items():
            for name, samples in worlds.items():
                yield Figure(f"{step}, {name}", "ms", samples)
            for other, floors in (("upstream", against_upstream or {}), ("native", against_native or {})):
                if other in worlds:
                    yield quicker(f"{step}: {other} / nixbox", worlds[other], worlds["nixbox"], floors.get(step))


def quicker(name, theirs, ours, floor):
    """By medians, as the worlds of a round are not a pair."""
    theirs, ours = Figure("", "", theirs).statistics()["p50"], Figure("", "", ours).statistics()["p50"]
    return Figure(name, "×", [theirs / max(ours, 1e-3)], floors={"p50": floor} if floor else {})


def rounds(count, play, base=None, entries=0):
    """`play(world, number)` for each round and world. Each world lives through the whole of it. `entries`: of the base."""
    worlds = []
    try:
        for kind in known(entries):
            worlds.append(kind(base))
        for number in range(count):
            for world in worlds:
                play(world, number)
    finally:
        for world in worlds:
            world.close()


@contextmanager
def folder(prefix="nbx-base-"):
    path = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
