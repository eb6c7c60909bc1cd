"""From `serve` to ready and from ready to who waits for it (P2), beside process-compose asking once a second."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

from measure import Figure, ratio, spawn
from support import HELPER, Project, eventually, need


def run(smoke, _):
    need("fuse")
    project = Project()
    try:
        yield from timed(project, 3 if smoke else 60, 1 if smoke else 6)
    finally:
        project.close()


def timed(project, rounds, polled_rounds):
    compose = shutil.which("process-compose")
    ready, waited, polled = [], [], []
    for number in range(rounds):
        to_ready, to_waiter = pushed(project)
        ready.append(to_ready)
        waited.append(to_waiter)
        # Spread over the whole run, so that both see the same machine.
        if compose and number % (rounds // polled_rounds) == 0:
            polled.append(by_polling(project, compose))
    waiting = Figure("ready to `wait` returned", "ms", waited, {"p95": 5})
    yield Figure("serve to ready", "ms", ready, {"p50": 25, "p95": 60})
    yield waiting
    if compose:
        polling = Figure("ready to process-compose's dependent started", "ms", polled, note="period 1 s")
        yield polling
        yield ratio("process-compose / wait", polling, waiting)


def pushed(project):
    """One owner: when it says READY=1, and when somebody who was waiting for that goes on."""
    address = project.runtime / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(address))
        notify.settimeout(20)
        waiter = spawn([str(HELPER), "wait", "sandbox"], project.env, project.root)
        # It has to be there first; how long it takes to get there is not the question.
        time.sleep(0.05)
        begun = time.perf_counter()
        owner = spawn([str(HELPER), "serve", "sandbox"], {**project.env, "NOTIFY_SOCKET": str(address)}, project.root)
        while b"READY=1" not in notify.recv(4096):
            pass
        ready = time.perf_counter()
        _, status = os.waitpid(waiter, 0)
        waited = time.perf_counter()
    address.unlink()
    if status != 0:
        raise RuntimeError("`wait` failed")
    os.kill(owner, signal.SIGTERM)
    if os.waitpid(owner, 0)[1] != 0:
        raise RuntimeError("the owner did not end well")
    return (ready - begun) * 1000, (waited - ready) * 1000


def by_polling(project, compose):
    """The same, told by a process manager that asks."""
    seen = project.base / "seen"
    dependent = {
        "command": f"date +%s%N > '{seen}'",
        "depends_on": {"agentfs-sandbox": {"condition": "process_healthy"}},
    }
    rendered, added = project.base / "rendered.yaml", project.base / "added.yaml"
    rendered.write_text(project.helper("render", "--to", "process-compose").stdout)
    # YAML is a superset of JSON, and process-compose merges what it is given.
    added.write_text(json.dumps({"version": "0.5", "processes": {"dependent": dependent}}))
    words = [compose, "up", "-f", rendered, "-f", added, "-t=false", "--no-server"]
    manager = project.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: seen.exists() and seen.read_text(), 30, what="the dependent process")
        (record,) = project.runtime.rglob("sandbox.json")
        ready = json.loads(record.read_text())["phase"]["at"]
        return int(seen.read_text()) / 1e6 - ready
    finally:
        project.stop(manager, within=15)
        seen.unlink(missing_ok=True)
