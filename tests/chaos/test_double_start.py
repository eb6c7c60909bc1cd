"""Of owners that start at the same moment exactly one wins, and the others say who it is (P6)."""

import os
import signal
import subprocess

from support import HELPER, eventually, need


def start(project):
    return project.start(HELPER, "serve", "sandbox", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def settle(project, rivals):
    """The winner, once all the others have given up."""
    eventually(lambda: sum(rival.poll() is not None for rival in rivals) >= len(rivals) - 1, 30, what="one winner")
    project.helper("wait", "sandbox", "--timeout", "20")
    winners = [rival for rival in rivals if rival.poll() is None]
    losers = [rival for rival in rivals if rival.poll() is not None]
    told = [loser.communicate()[1] for loser in losers]
    assert len(winners) == 1, told
    assert {loser.returncode for loser in losers} == {4}, told
    for text in told:
        assert "nixbox::owner::held" in text and str(winners[0].pid) in text, text
    return winners[0]


def end(project, winner):
    winner.send_signal(signal.SIGTERM)
    winner.communicate(timeout=4)
    assert winner.returncode == 0
    assert not os.path.ismount(project.mount)


def test_a_hundred_pairs(project):
    need("fuse")
    for _ in range(100):
        end(project, settle(project, [start(project), start(project)]))
    project.assert_nothing_left()


def test_a_hundred_at_once(project):
    need("fuse")
    end(project, settle(project, [start(project) for _ in range(100)]))
