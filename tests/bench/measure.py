"""Timing a program from outside, and saying what came of it."""

import math
import os
import statistics
import time
from dataclasses import dataclass, field


@dataclass
class Figure:
    """Samples of one quantity, with what it must not exceed and not fall below, by name of the statistic."""

    name: str
    unit: str
    samples: list
    budgets: dict = field(default_factory=dict)
    note: str = ""
    floors: dict = field(default_factory=dict)

    def statistics(self):
        ordered = sorted(self.samples)
        rank = lambda share: ordered[max(0, math.ceil(share * len(ordered)) - 1)]
        return {"p50": statistics.median(ordered), "p95": rank(0.95), "max": ordered[-1]}

    def overruns(self):
        values = self.statistics()
        over = [name for name, limit in self.budgets.items() if values[name] > limit]
        return over + [name for name, limit in self.floors.items() if values[name] < limit]

    def line(self):
        parts = []
        for name, value in self.statistics().items():
            limit = f" (≤ {self.budgets[name]:g})" if name in self.budgets else ""
            limit += f" (≥ {self.floors[name]:g})" if name in self.floors else ""
            parts.append(f"{name} {value:9.2f}{limit:9}")
        verdict = "MISS" if self.overruns() else "ok" if self.budgets or self.floors else ""
        return f"{self.name:56} {'  '.join(parts)} {self.unit:5} n={len(self.samples):<4} {verdict:4} {self.note}".rstrip()

    def json(self):
        return {"name": self.name, "unit": self.unit, "n": len(self.samples), **self.statistics(),
                "budgets": self.budgets, "floors": self.floors, "note": self.note}  # fmt: skip


def ratio(name, of, to):
    """How many times more one figure's median is than another's."""
    return Figure(name, "×", [of.statistics()["p50"] / max(to.statistics()["p50"], 1e-3)])


def spawn(argv, env, cwd):
    """The pid of a silent child, by the cheapest way there is: what is timed is the child, not the fork."""
    null = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    null += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    previous = os.getcwd()
    os.chdir(cwd)
    try:
        return os.posix_spawn(argv[0], [str(arg) for arg in argv], env, file_actions=null)
    finally:
        os.chdir(previous)


def milliseconds(argv, env, cwd):
    """From spawn to exit."""
    begun = time.perf_counter()
    pid = spawn(argv, env, cwd)
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - begun) * 1000
    if status != 0:
        raise RuntimeError(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return took
