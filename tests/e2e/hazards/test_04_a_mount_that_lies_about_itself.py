"""Upstream's `mount` says yes where something is mounted already, and covers a file before it says no."""

import os

import pytest
from support import PLAIN, Upstream, eventually, need
from support.upstream import unmount


def refused(project, code, *names):
    done = project.helper("serve", "sandbox", check=False, timeout=20)
    assert f"[{code}]" in done.stderr and "help:" in done.stderr, done.stderr
    for name in names:
        assert str(name) in done.stderr
    return done.returncode


@pytest.fixture
def mine(project):
    """The mountpoint, made by the user, and given back."""
    need("fuse")
    project.mount.mkdir(parents=True)
    return project.mount


def test_a_mount_of_somebody_else_is_left_alone(project, mine):
    if os.geteuid() != 0:
        pytest.skip("optional: only root mounts a tmpfs")
    project.command("mount", "-t", "tmpfs", "none", mine)
    try:
        (mine / "theirs").touch()
        assert refused(project, "nixbox::mount::busy", mine) == 5
        assert os.listdir(mine) == ["theirs"]
    finally:
        project.command("umount", mine)


def test_a_mount_of_another_project_is_left_alone(project, mine, make_project):
    other = make_project(PLAIN.replace(".agentfs/mnt", str(mine)))
    owner = other.serve()
    (mine / "theirs").touch()
    assert refused(project, "nixbox::mount::busy", mine) == 5
    assert os.listdir(mine) == ["theirs"]
    assert other.stop(owner) == 0


def test_a_file_is_not_covered(project):
    need("fuse")
    project.mount.parent.mkdir()
    project.mount.write_text("precious")
    assert refused(project, "nixbox::config::mount-is-file") == 2
    assert project.mount.read_text() == "precious" and not project.leftovers().mounts


def test_files_are_not_hidden(project, mine):
    (mine / "precious").touch()
    assert refused(project, "nixbox::mount::not-empty", mine) == 5
    assert os.listdir(mine) == ["precious"]


def test_upstream_has_it(project):
    need("fuse")
    upstream = Upstream(project)
    for name in ("first", "second"):
        upstream("init", name)
    point = project.root / "theirs"
    with upstream.mounted(project.database("first"), point):
        assert upstream("mount", project.database("second"), point, check=False).returncode == 0
        assert project.leftovers().mounts == [str(point)]
        (point / "file").touch()
    # What said that it was done does it now, upon the place that has become free.
    eventually(lambda: not unmount(point) and not project.leftovers().processes, 10, what="upstream's end")
