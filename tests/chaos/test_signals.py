"""However and whenever an owner is told to end, it leaves no mount, process, socket or lock (P5)."""

import os
import random
import signal
import sys
import time

import pytest
from support import HELPER, need

ROUNDS = 10
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# Stays in the mount, by its working folder, and ends by itself when that dies.
BUSY = """
import os, sys
os.chdir(sys.argv[1])
n = 0
while True:
    n += 1
    try:
        with open(f"{os.getpid()}-{n % 50}", "wb") as file:
            file.write(os.urandom(20_000))
            if n % 5 == 0:
                os.fsync(file.fileno())
    except OSError:
        break
"""


def starting(project):
    """Caught anywhere between exec and ready; `nixbox-helper` itself is one of the places."""
    owner = project.serve(ready=False)
    time.sleep(random.uniform(0, 0.06))
    return owner, []


def ready(project):
    return project.serve(), []


def busy(project):
    owner = project.serve()
    writers = [project.start(sys.executable, "-S", "-c", BUSY, str(project.mount)) for _ in range(2)]
    time.sleep(random.uniform(0.1, 0.3))
    return owner, writers


@pytest.mark.parametrize("state", [starting, ready, busy], ids=lambda state: state.__name__)
@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_nothing_is_left(project, sig, state):
    need("fuse")
    for _ in range(ROUNDS):
        owner, writers = state(project)
        code = project.stop(owner, sig)
        # Before it has so much as read its configuration there is nothing to end in order.
        assert code == 0 or (state is starting and code == -sig), code
        assert [writer.wait(5) for writer in writers] == [0] * len(writers)
        project.assert_nothing_left()
        assert project.journals() == []
        assert not project.mount.exists() or os.listdir(project.mount) == []


def test_signals_one_upon_another_are_no_worse_than_one(project):
    need("fuse")
    for _ in range(ROUNDS):
        owner, _ = ready(project)
        for sig in SIGNALS * 3:
            owner.send_signal(sig)
        assert owner.wait(4) == 0
        project.assert_nothing_left()


@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_up_takes_its_owners_with_it(project, sig):
    need("fuse")
    for _ in range(3):
        up = project.start(HELPER, "up")
        project.helper("wait", "sandbox", "--timeout", "20")
        project.stop(up, sig)
        project.assert_nothing_left()
