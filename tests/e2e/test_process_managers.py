"""Real process managers run what `render` writes for them: ready, and nothing left however they are ended."""

import json
import os
import signal
import subprocess

import pytest
from support import OVER, eventually, need

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Honcho:
    name = "honcho"

    @staticmethod
    def render(project):
        (project.root / "Procfile").write_text(project.helper("render", "--to", "procfile").stdout)

    @staticmethod
    def argv(project):
        return [need("honcho"), "start", "-f", project.root / "Procfile"]


class ProcessCompose:
    name = "process-compose"

    @staticmethod
    def render(project):
        project.helper("render", "--to", "process-compose", "--output", project.root)

    @staticmethod
    def argv(project):
        return [need("process-compose"), "up", "-f", project.root / "process-compose.yaml", "-t=false", "--no-server"]


def run(project, manager):
    """The manager's process, its instance ready."""
    need("fuse")
    argv = manager.argv(project)
    manager.render(project)
    child = project.start(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    project.helper("wait", "sandbox", "--timeout", "30")
    return child


@pytest.fixture(params=[Honcho, ProcessCompose], ids=lambda manager: manager.name)
def manager(request):
    return request.param


@pytest.mark.parametrize("sig", SIGNALS, ids=lambda sig: sig.name)
def test_its_stop_leaves_nothing(project, manager, sig):
    managed = run(project, manager)
    (project.mount / "file").write_text("through a manager")
    if sig == signal.SIGHUP and manager is Honcho:
        # honcho knows nothing of HUP and dies of it; its children are in sessions of their own and hear nothing.
        project.stop(managed, sig, within=15)
        project.helper("down")
    else:
        project.stop(managed, sig, within=15)
    project.assert_nothing_left()
    assert not os.path.ismount(project.mount)


def test_after_kill_9_of_the_manager_the_next_start_is_well(project, manager):
    """The owner outlives its manager: it still serves, refuses a second one by name, and `down` ends it."""
    managed = run(project, manager)
    managed.kill()
    managed.wait(5)
    second = project.helper("serve", "sandbox", check=False)
    assert second.returncode == 4, second.stderr
    project.helper("down")
    project.assert_nothing_left()
    assert project.stop(project.serve()) == 0


def test_a_killed_owner_comes_back_by_itself(project):
    managed = run(project, ProcessCompose)
    (row,) = project.json("ps", "--json")["instances"]
    os.kill(row["pid"], signal.SIGKILL)
    again = None
    while again in (None, row["pid"]):
        project.helper("wait", "sandbox", "--timeout", "30")
        again = project.json("ps", "--json")["instances"][0]["pid"]
    assert os.path.ismount(project.mount)
    project.stop(managed, within=15)


def test_a_dependent_waits_for_ready(project):
    compose = need("process-compose")
    need("fuse")
    ProcessCompose.render(project)
    proof = project.base / "proof"
    dependent = {
        "command": f"mountpoint '{project.mount}' > '{proof}'",
        "depends_on": {"agentfs-sandbox": {"condition": "process_healthy"}},
        "availability": {"exit_on_end": True},
    }
    added = project.base / "added.yaml"
    added.write_text(json.dumps({"version": "0.5", "processes": {"dependent": dependent}}))
    files = ("-f", project.root / "process-compose.yaml", "-f", added)
    project.command(compose, "up", *files, "-t=false", "--no-server", timeout=60)
    assert "is a mountpoint" in proof.read_text()


JOBS = """
[jobs.seed]
exec = ["sh", "-c", "echo seeded > seed.txt; sleep 1000"]
{more}
[schedules.tick]
cron = "* * * * * *"
exec = ["sh", "-c", "echo tick >> ticks"]
"""
# Only where there is an order, and somebody who asks.
ORDERED = """
health.exec = ["test", "-e", "seed.txt"]

[jobs.worker]
exec = ["sh", "-c", "cp seed.txt worked.txt; exec sleep 1000"]
depends_on.seed = "ready"
restart.on = "always"
"""


def test_jobs_wait_for_their_instance_and_times_are_kept(make_project, manager):
    ordered = manager is ProcessCompose
    project = make_project(OVER + JOBS.format(more=ORDERED if ordered else ""))
    project.below.mkdir()
    managed = run(project, manager)
    made = ["seed.txt", "ticks"] + (["worked.txt"] if ordered else [])
    eventually(lambda: all((project.mount / name).exists() for name in made), within=30)
    assert (project.mount / "seed.txt").read_text() == "seeded\n"
    assert list(project.below.iterdir()) == []
    project.stop(managed, within=20)
    project.assert_nothing_left()


def test_a_job_is_started_again_as_it_was_declared(make_project):
    """Whatever its command was, it began in an instance that was ready."""
    job = '\n[jobs.seed]\nexec = ["sh", "-c", "echo x >> began; exit 3"]\nrestart.max = 2\n'
    project = make_project(OVER + job)
    project.below.mkdir()
    managed = run(project, ProcessCompose)
    began = project.mount / "began"
    eventually(lambda: began.exists() and began.read_text() == "x\n" * 3, within=30)
    project.stop(managed, within=20)
