"""What it takes to keep instances up, beside other process managers: memory, turns of the processor, times."""

import json
import os
import shutil
import signal
import subprocess
import time

from measure import Figure
from owner import rss, turns
from support import HELPER, Project


def run(smoke, rounds):
    counts = [1, 3] if smoke else [1, 10, 50]
    managers = [Up, *(one for one in (ProcessCompose, Honcho) if one.program())]
    for count in counts:
        taken = {manager: [] for manager in managers}
        for _ in range(rounds):
            for manager in managers:
                taken[manager].append(play(manager, count, 0.5 if smoke else 3))
        for manager, all_taken in taken.items():
            for quantity, (unit, budgets) in QUANTITIES.items():
                samples = [one[quantity] for one in all_taken if one.get(quantity) is not None]
                if samples:
                    held = budgets if manager is Up and count == counts[-1] else {}
                    yield Figure(f"{manager.name}, {count} instances: {quantity}", unit, samples, held)


QUANTITIES = {
    "start to all ready": ("ms", {}),
    "RSS at rest": ("MB", {"max": 10}),
    "RSS of who looks after it": ("MB", {}),
    "wake-ups at rest": ("turns", {"max": 0}),
    "kill to start again": ("ms", {}),
    "stop": ("ms", {}),
}


def play(manager, count, rest):
    names = [f"i{number}" for number in range(count)]
    tables = "".join(
        f'[instances.{name}]\nmount.backend = "none"\nrestart.backoff = {{ min = "10ms", max = "10ms" }}\n' for name in names
    )
    project = Project("version = 1\n" + tables)
    try:
        # Making the databases is no part of starting.
        project.helper("init")
        begun = time.perf_counter()
        process = manager.start(project, names)
        project.helper("wait", "--all", "--timeout", "120")
        taken = {"start to all ready": since(begun)}
        time.sleep(2)
        own = manager.own(project, process)
        before = sum(map(turns, own))
        time.sleep(rest)
        taken["wake-ups at rest"] = sum(map(turns, own)) - before
        taken["RSS at rest"] = rss(own[0])
        if own[1:]:
            taken["RSS of who looks after it"] = rss(own[1])
        if manager.restarts:
            old = pid_of(project, names[0])
            begun = time.perf_counter()
            os.kill(old, signal.SIGKILL)
            while pid_of(project, names[0]) in (None, old):
                time.sleep(0.001)
            taken["kill to start again"] = since(begun)
            project.helper("wait", "--all", "--timeout", "60")
        begun = time.perf_counter()
        manager.stop(project, process)
        taken["stop"] = since(begun)
        return taken
    finally:
        project.close()


class Up:
    name = "nixbox-helper up"
    restarts = True

    @staticmethod
    def start(project, _):
        return project.start(HELPER, "up", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def own(project, _):
        """Whoever keeps them up, and who looks after that."""
        state = json.loads((project.root / ".agentfs/.units/state.json").read_text())
        return [process["pid"] for process in state["processes"]]

    @staticmethod
    def stop(_, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Other:
    """A manager that is a process, which has the owners as children."""

    @classmethod
    def own(cls, _, process):
        return [process.pid]

    @staticmethod
    def stop(_, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class ProcessCompose(Other):
    name = "process-compose"
    restarts = True

    @staticmethod
    def program():
        return shutil.which("process-compose")

    @classmethod
    def start(cls, project, _):
        (project.root / "pc.yaml").write_text(project.helper("render", "--to", "process-compose").stdout)
        argv = [cls.program(), "up", "-f", project.root / "pc.yaml", "-t=false", "--no-server"]
        return project.start(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Honcho(Other):
    name = "honcho"
    # it ends when one of its children does
    restarts = False

    @staticmethod
    def program():
        return shutil.which("honcho")

    @classmethod
    def start(cls, project, _):
        (project.root / "Procfile").write_text(project.helper("render", "--to", "procfile").stdout)
        return project.start(cls.program(), "start", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def since(begun):
    return (time.perf_counter() - begun) * 1000


def pid_of(project, name):
    found = list(project.runtime.glob(f"nixbox/*/{name}.json"))
    try:
        return json.loads(found[0].read_text())["pid"] if found else None
    except (OSError, ValueError):
        return None
