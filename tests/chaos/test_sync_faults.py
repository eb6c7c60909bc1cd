"""Whatever goes wrong on the way to a remote: what is here stays what it was, the failure has a name and says what to do,
and as soon as the trouble is over a sync goes well."""

import json
import os
import subprocess
import time
from contextlib import contextmanager

import pytest
from machines import Machine, assert_equal, work
from support import chance, need, network, scaled, sync_server
from support.remote import (
    answer_cut,
    answer_lost,
    dropped,
    late,
    passed,
    question_cut,
    refused_halfway,
    says,
    server_killed,
)

ROUNDS = scaled(23, 500)

NOTHING = b'{"results":[{"type":"ok","response":{"result":{"step_results":[],"step_errors":[]}}}]}'
FAULTS = {
    "dropped": dropped,
    "refused halfway": refused_halfway,
    "question cut": question_cut,
    "answer lost": answer_lost,
    "answer cut": answer_cut,
    "late": late(0.2),
    "401": says("401 Unauthorized"),
    "403": says("403 Forbidden"),
    "404": says("404 Not Found"),
    "500": says("500 Internal Server Error", b"out of luck"),
    "503": says("503 Service Unavailable"),
    "429": says("429 Too Many Requests"),
    "302": says("302 Found\r\nlocation: http://127.0.0.1:9/"),
    "308": says("308 Permanent Redirect\r\nlocation: https://elsewhere.example/v2/pipeline"),
    "junk": says("200 OK", b"<html>\0\xff</html>"),
    "empty": says("200 OK"),
    "no results": says("200 OK", NOTHING),
    "other results": says("200 OK", NOTHING.replace(b'"step_results":[]', b'"step_results":7')),
    "not http": lambda peer, server: peer.sendall(os.urandom(64)),
    "server killed at once": server_killed(0),
    "server killed": server_killed(0.01),
    "server killed later": server_killed(0.1),
}
KILLED = "client killed"


@pytest.mark.timeout(scaled(480, 3600))
def test_faults(make_project):
    """Each fault at each request of a pull, a push and a look, while the other machine has changed something, too."""
    random, told, failed = chance(), {}, 0
    with sync_server(make_project(None)) as server, network(server) as way:
        here, there = Machine(make_project(None), way.url), Machine(make_project(None), server.url)
        known = {}
        for round_ in range(ROUNDS):
            name = [*FAULTS, KILLED][round_ % (len(FAULTS) + 1)]
            if random.random() < 0.3:
                there.write(f"there/{round_ % 7}", random.randbytes(random.choice((5, 50_000))))
                there.surely("push")
                known = there.tree()
            ours = {path: content for path, content in here.tree().items() if not path.startswith("there/")}
            before = {**known, **ours}
            work(here, before, random, most=1)
            mine = here.tree()
            verb = random.choice(("push", "push", "pull", "status"))
            if name == KILLED:
                here.killed(verb, random.uniform(0.02, 0.3))
                outcome = KILLED
            else:
                # What is asked twice meets it twice.
                way.fates = [passed] * random.randrange(5) + [FAULTS[name]] * random.choice((1, 1, 5))
                outcome = here.sync(verb)
            way.heal()
            told.setdefault(name, set()).add(outcome)
            failed += outcome is not None
            # All of what was pulled, or nothing; of what was here, everything.
            tree = here.tree()
            if tree != mine:
                assert verb != "status"
                assert_equal(tree, before)
            here.surely("push")
            assert_equal(here.tree(), before)
            there.surely("pull")
            assert_equal(there.tree(), before)
            known = before
        for machine in (here, there):
            assert_equal(machine.sound(), known)
    for name, outcomes in told.items():
        print(f"{name}: {sorted(outcome or 'done' for outcome in outcomes)}")
    assert failed > ROUNDS // 10, failed


@contextmanager
def small_disk(folder, megabytes):
    """A file system of its own in the place of `folder`."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("where", ["data", "mirror"])
def test_a_full_disk(make_project, where):
    """Under the database, or only under what is kept of the remote."""
    if os.geteuid() != 0:
        pytest.skip("optional: a small file system is root's to mount")
    random = chance()
    with sync_server(make_project(None)) as server:
        there, project = Machine(make_project(None), server.url), make_project(None)
        small = project.root / ".agentfs"
        if where == "mirror":
            small = small / "sandbox.d/sync"
            small.parent.mkdir(parents=True)
        with small_disk(small, 24):
            here = Machine(project, server.url)
            here.write("mine", random.randbytes(100_000))
            here.surely("push")
            there.surely("pull")
            failed = 0
            for size in (1, 4, 8, 16, 20, 12):
                there.surely("pull")
                there.write("large", random.randbytes(size << 20))
                there.surely("push")
                known = content(here)
                done = project.helper("sync", "pull", "--json", check=False)
                if done.returncode == 0:
                    known = content(there)
                else:
                    failed += 1
                    no_room(done)
                # Nothing by halves; and the instance can still be written to.
                assert_equal(content(here), known)
                here.write("mine", random.randbytes(100_000))
                done = project.helper("sync", "push", "--json", check=False)
                if done.returncode != 0:
                    no_room(done)
            assert failed
            mine = content(here)["mine"]
            subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
            here.surely("push")
            there.surely("pull")
            assert_equal(here.sound(), there.sound())
            assert_equal(content(here), {**content(there), "mine": mine})


def no_room(done):
    (error,) = json.loads(done.stderr)["errors"]
    # Of a merge, what is here finds no room to be kept first.
    kept = (7, "nixbox::sync::not-kept")
    rooms = [(8, "nixbox::file::no-room"), (8, "nixbox::database::no-room"), kept]
    assert (done.returncode, error["code"]) in rooms, error
    assert error["help"]


def content(machine):
    """Of the files at the top, one by one: an export wants room for a copy."""
    names = machine.project.helper("fs", "ls").stdout.split()
    return {name: machine.project.helper("fs", "cat", name, text=False).stdout for name in names}


def test_clocks_an_hour_apart(make_project):
    """Every time that counts is the remote's."""
    need("faketime")
    random, known = chance(), {}
    with sync_server(make_project(None)) as server:
        machines = [Machine(make_project(None), server.url) for _ in range(2)]
        for machine, skew in zip(machines, ("-3600", "+3600")):
            program = subprocess.run(
                ["faketime", "-f", f"{skew}s", "env"], capture_output=True, text=True, check=True
            ).stdout
            machine.project.env |= dict(
                line.split("=", 1) for line in program.splitlines() if line.startswith(("LD_PRELOAD=", "FAKETIME="))
            )
            assert abs(float(machine.project.command("date", "+%s").stdout) - float(skew) - time.time()) < 60
        for round_ in range(scaled(6, 30)):
            machine = machines[round_ % 2]
            machine.surely("pull")
            assert_equal(machine.tree(), known)
            work(machine, known, random, most=2)
            machine.surely("push")
        machines[0].surely("pull")
        machines[1].surely("pull")
        for machine in machines:
            assert_equal(machine.sound(), known)
