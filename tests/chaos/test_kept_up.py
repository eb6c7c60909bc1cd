"""kill -9 of whatever keeps a project up, and of what it keeps up: nothing is orphaned, nothing is there twice."""

import json
import os
import signal
import time

import pytest
from support import HELPER, chance, eventually, need, scaled

CONFIG = """\
version = 1

[instances.one]
mount.path = ".agentfs/one"
restart = { max = 1000, backoff = { min = "10ms", max = "20ms" } }

[instances.two]
mount.backend = "none"
restart = { max = 1000, backoff = { min = "10ms", max = "20ms" } }

[jobs.worker]
instance = "one"
exec = ["sh", "-c", "(sleep 5000 &) ; setsid sleep 5000 & exec sleep 5000"]
restart = { max = 1000, backoff = { min = "10ms", max = "20ms" } }
"""


@pytest.fixture
def project(make_project):
    need("fuse")
    return make_project(CONFIG)


def state(project):
    return json.loads((project.root / ".agentfs/.units/state.json").read_text())


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def programs(project):
    """What runs of this project, by its first words."""
    found = []
    for line in project.leftovers().processes:
        words = line.split()
        found.append((int(words[0]), " ".join(os.path.basename(word) for word in words[1:3])))
    return found


def counts(project):
    words = [what for _, what in programs(project)]
    return {what: words.count(what) for what in ("nixbox-owner serve", "nixbox-helper job", "sleep 5000")}


@pytest.mark.timeout(scaled(180, 3600))
def test_random_kills_leave_nothing_orphaned_and_nothing_twice(project):
    dice = chance()
    for round_ in range(scaled(8, 100)):
        project.helper("up", "-d", "--timeout", "60")
        whole = {"nixbox-owner serve": 2, "nixbox-helper job": 1, "sleep 5000": 3}
        eventually(lambda: counts(project) == whole, 20, what=f"all of it, once, in round {round_}")
        supervisor, guardian = (process["pid"] for process in state(project)["processes"])
        units = {unit["name"]: unit["pid"] for unit in state(project)["units"].values()}
        victim = dice.choice(["supervisor", "guardian", "both", "one", "two", "worker"])
        pids = {"supervisor": [supervisor], "guardian": [guardian], "both": [guardian, supervisor]}.get(victim)
        time.sleep(dice.random() * 0.05)
        for pid in pids or [units[victim]]:
            os.kill(pid, signal.SIGKILL)
        if pids is None:
            eventually(lambda: state(project)["units"][victim]["pid"] not in (None, units[victim]), 20, what=f"{victim} again")
            project.helper("wait", "--all", "--timeout", "30")
        elif victim != "both":
            eventually(lambda: not programs(project), 20, what=f"an end of all after the {victim} was killed")
        state(project)
    project.helper("down")
    assert not programs(project)


@pytest.mark.timeout(scaled(180, 900))
def test_a_tree_that_ignores_term_is_gone_when_down_returns(make_project):
    need("fuse")
    script = "trap '' TERM; setsid sh -c 'trap : TERM; while :; do sleep 1; done' & while :; do sleep 1; done"
    project = make_project(
        f'version = 1\n[instances.one]\nmount.path = ".agentfs/one"\n[jobs.wild]\nexec = ["sh", "-c", "{script}"]\n'
    )
    for _ in range(scaled(4, 50)):
        project.helper("up", "-d")
        project.helper("down", "--timeout", "0.2")
        assert not programs(project)


@pytest.mark.timeout(scaled(180, 3600))
def test_a_thousand_commands_leave_no_process_and_no_descriptor(project):
    project.helper("up", "-d", "two", "one")
    owner = project.json("ps", "one", "--json")["instances"][0]["pid"]
    descriptors = lambda: len(os.listdir(f"/proc/{owner}/fd"))
    project.helper("exec", "one", "--", "true")
    before = descriptors(), counts(project)
    for _ in range(scaled(30, 1000)):
        project.helper("exec", "one", "--", "sh", "-c", "exit 0")
    eventually(lambda: (descriptors(), counts(project)) == before, 10, what="as many descriptors and processes as before")
    project.helper("down")


def test_a_log_of_fifty_megabytes_a_second_loses_no_line(make_project):
    """Put aside again and again while it is followed; the writer waits where nobody keeps up."""
    lines = scaled(200_000, 2_000_000)
    script = f"import sys\\nfor n in range({lines}): sys.stdout.write(f'{{n:07}} ' + 'x' * 42 + chr(10))"
    project = make_project(
        'version = 1\n[instances.one]\nmount.path = ".agentfs/one"\n[jobs.talker]\n'
        f'exec = ["python3", "-c", "{script}"]\nlog = {{ max_size = "4MiB", keep = 100 }}\nrestart.on = "never"\n'
    )
    need("fuse")
    begun = time.monotonic()
    project.helper("up", "-d")
    out = project.base / "followed"
    with open(out, "wb") as to:
        following = project.start(HELPER, "logs", "-f", "talker", stdout=to)
        project.helper("wait", "--exit", "talker", "--timeout", "120")
        took = time.monotonic() - begun
        eventually(lambda: out.stat().st_size >= lines * len("talker | 0000000 \n" + "x" * 42), 60, what="the last line")
    following.kill()
    following.wait(5)
    said = [int(line.split()[2]) for line in out.read_text().splitlines()]
    assert said == list(range(lines))
    print(f"{lines * 51 / took / 1e6:.1f} MB/s")
    project.helper("down")
