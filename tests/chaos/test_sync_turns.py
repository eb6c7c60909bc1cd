"""Two machines that work in turns, while their owners, the server and the network die at any moment: no acknowledged write
is lost, and in the end both have the same files."""

import time

import pytest
from machines import Machine, assert_equal, work
from support import chance, network, scaled, sync_server
from support.remote import answer_cut, answer_lost, dropped, passed, question_cut, refused_halfway, server_killed

ROUNDS = scaled(12, 100)
CUTS = [dropped, refused_halfway, question_cut, answer_lost, answer_cut]


def troubled(machine, verb, way, random):
    """What was done to it. It may go well all the same."""
    trouble = random.choice(("killed", "server", "network", "none"))
    match trouble:
        case "killed":
            machine.killed(verb, random.uniform(0.02, 0.5))
        case "server":
            way.fates = [passed] * random.randrange(5) + [server_killed(random.choice((0, 0.005, 0.02, 0.1, 0.3)))]
            machine.sync(verb)
        case "network":
            way.fates = [random.choice([passed, random.choice(CUTS)]) for _ in range(6)]
            machine.sync(verb)
    way.heal()
    return trouble


@pytest.mark.timeout(scaled(240, 3600))
def test_in_turns(make_project):
    random, known, happened = chance(), {}, {}
    with sync_server(make_project(None)) as server, network(server) as way:
        machines = [Machine(make_project(None), way.url) for _ in range(2)]
        for round_ in range(ROUNDS):
            machine = machines[round_ % 2]
            if random.random() < 0.4:
                machine.serve()
            pull, before = troubled(machine, "pull", way, random), time.monotonic()
            machine.surely("pull")
            assert_equal(machine.tree(), known)
            if machine.owner is None and random.random() < 0.2:
                machine.serve()
            work(machine, known, random)
            push = troubled(machine, "push", way, random)
            # What was acknowledged is there, whoever was killed.
            assert_equal(machine.tree(), known)
            machine.surely("push")
            machine.stop()
            for what in ("pull " + pull, "push " + push):
                happened[what] = happened.get(what, 0) + 1
            print(round_, pull, push, f"{time.monotonic() - before:.1f} s")
        for machine in machines:
            machine.surely("pull")
            assert_equal(machine.sound(), known)
    print(happened)
    assert len(happened) > 5
