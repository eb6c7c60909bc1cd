"""Many who order at once, in any order, and a configuration that is rewritten meanwhile: no order hangs or ends in a way
that its help does not name, and what runs afterwards runs once."""

import os
import subprocess
import threading

import pytest
from support import HELPER, chance, eventually, need, scaled

BACKOFF = 'restart = { max = 1000, backoff = { min = "10ms", max = "20ms" } }\n'
CONFIG = f"""\
version = 1

[instances.one]
mount.path = ".agentfs/one"
{BACKOFF}
[instances.two]
mount.backend = "none"
depends_on.one = "started"
{BACKOFF}
[jobs.worker]
instance = "one"
exec = ["sh", "-c", "setsid sleep 5001 & exec sleep 5001"]
env.ROUND = "0"
watch = {{ paths = ["src"], debounce = "20ms" }}
{BACKOFF}
[jobs.seed]
instance = "one"
exec = ["true"]
depends_on = {{ two = "ready", worker = "ready" }}
"""
ALL = {"nixbox-owner serve": 2, "nixbox-helper job": 1, "sleep 5001": 2}
# Not running, stopping just now, interrupted by another's `down`, late: what somebody else's order does to one's own.
EXPECTED = {0, 1, 3, 4, 6, 8}


def counts(project):
    lines = [line.split() for line in project.leftovers().processes]
    words = [" ".join(os.path.basename(word) for word in line[1:3]) for line in lines]
    return {what: words.count(what) for what in ALL}


def orders(dice):
    name = dice.choice(["one", "two", "worker", "seed"])
    return dice.choice(
        [
            ["up", "-d", "--timeout", "20"],
            ["up", "-d", name, "--timeout", "20"],
            ["start", name, "--timeout", "20"],
            ["stop", name],
            ["restart", name, "--ready", "20"],
            ["kill", "-s", "KILL", name],
            ["down"],
            ["pause", name],
            ["unpause", name],
            ["ps"],
            ["rewrite"],
            ["change"],
        ]
    )


@pytest.mark.timeout(scaled(300, 3600))
def test_what_rivals_order_ends_well(make_project):
    need("fuse")
    project = make_project(CONFIG)
    project.helper("up", "-d", "--timeout", "60")
    # Watched, and there to be changed.
    project.helper("fs", "mkdir", "-i", "one", "src")
    seed = chance()
    wrong = []

    def rival(dice):
        for _ in range(4):
            words = orders(dice)
            if words == ["rewrite"]:
                beside = project.root / f".new-{dice.random()}"
                beside.write_text(CONFIG.replace('ROUND = "0"', f'ROUND = "{dice.randrange(3)}"'))
                beside.rename(project.root / "nixbox.toml")
                continue
            if words == ["change"]:
                words = ["fs", "write", "-i", "one", "src/x"]
            try:
                done = subprocess.run(
                    [HELPER, *words], env=project.env, cwd=project.root, input="x", capture_output=True, text=True, timeout=60, check=False
                )
            except subprocess.TimeoutExpired:
                wrong.append(f"{words} hangs")
                continue
            if done.returncode not in EXPECTED or "nixbox::unexpected" in done.stderr:
                wrong.append(f"{words}: {done.returncode}\n{done.stderr}")

    for round_ in range(scaled(6, 200)):
        dices = [type(seed)(seed.random()) for _ in range(4)]
        threads = [threading.Thread(target=rival, args=(dice,)) for dice in dices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, f"round {round_}: " + "\n".join(wrong)
        for name in ("one", "two", "worker", "seed"):
            project.helper("unpause", name, check=False)
        project.helper("up", "-d", "--timeout", "60")
        try:
            eventually(lambda: counts(project) == ALL, 20)
        except AssertionError:
            now = project.helper("ps").stdout + project.helper("events", "--tail", "40").stdout
            raise AssertionError(f"round {round_}: {counts(project)} and not {ALL}\n{now}") from None
        project.json("ps", "--json")
        if round_ % 3 == 2:
            project.helper("down")
            eventually(lambda: not project.leftovers().processes, 5, what=f"an end of all, in round {round_}")
    project.helper("down")
    project.assert_nothing_left()
