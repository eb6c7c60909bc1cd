"""The runtime folder must be its user's alone, and what was put into it by another leads nowhere."""

import os
import socket

import pytest
from support import need

HERE = 'version = 1\nruntime_dir = "run"\n[instances.sandbox.mount]\npath = ".agentfs/mnt"\n'


@pytest.fixture
def here(make_project):
    need("fuse")
    project = make_project(HERE)
    project.run = project.root / "run"
    return project


def refused(project, code):
    done = project.helper("serve", "sandbox", check=False, timeout=20)
    assert done.returncode == 1 and f"[{code}]" in done.stderr and "help:" in done.stderr, done.stderr


def test_one_that_is_open_to_others_is_closed(here):
    here.run.mkdir()
    here.run.chmod(0o777)
    owner = here.serve()
    assert here.run.stat().st_mode & 0o777 == 0o700
    assert (here.run / "sandbox.sock").stat().st_mode & 0o777 == 0o600
    assert here.stop(owner) == 0


def test_one_of_another_user_is_refused(here):
    if os.geteuid() != 0:
        pytest.skip("optional: only root can be somebody else")
    here.run.mkdir()
    os.chown(here.run, 65534, 65534)
    refused(here, "nixbox::owner::runtime-dir")
    assert os.listdir(here.run) == []


def test_a_link_or_a_file_in_its_place_is_refused(here):
    elsewhere = here.base / "elsewhere"
    elsewhere.mkdir()
    here.run.symlink_to(elsewhere)
    refused(here, "nixbox::owner::runtime-dir")
    assert os.listdir(elsewhere) == []
    here.run.unlink()
    here.run.write_text("precious")
    refused(here, "nixbox::owner::runtime-dir")
    assert here.run.read_text() == "precious"


@pytest.mark.parametrize("name", ["sandbox.sock", "sandbox.json", "sandbox.token"])
def test_a_link_in_the_place_of_a_file_of_ours(here, name):
    """Left by whoever could write there before: what it leads to is not touched, and the owner serves all the same."""
    here.configure(HERE + "[instances.sandbox.http]\n")
    victim = here.base / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    here.run.mkdir(mode=0o700)
    (here.run / name).symlink_to(victim)
    owner = here.serve()
    assert here.helper("ready").returncode == 0
    assert here.stop(owner) == 0
    assert victim.read_text() == "precious" and victim.stat().st_mode & 0o777 == 0o644


def test_a_socket_of_somebody_who_lives_is_not_taken(here):
    here.run.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(here.run / "sandbox.sock"))
        living.listen()
        done = here.helper("serve", "sandbox", check=False, timeout=20)
        assert done.returncode != 0 and "help:" in done.stderr, done.stderr
        assert (here.run / "sandbox.sock").exists()
    (here.run / "sandbox.sock").unlink()


def test_a_folder_in_the_place_of_the_socket(here):
    (here.run / "sandbox.sock").mkdir(parents=True)
    here.run.chmod(0o700)
    done = here.helper("serve", "sandbox", check=False, timeout=20)
    assert done.returncode != 0 and "help:" in done.stderr and "panicked" not in done.stderr, done.stderr
    (here.run / "sandbox.sock").rmdir()
