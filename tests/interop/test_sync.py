"""A remote between an instance of ours, mounted, and upstream's own program: either reads what the other has pushed."""

import os
import subprocess
import time

import pytest
from support import SYNCED, Project, need, own_remote, sync_server


def declare(project, remote, more=""):
    project.configure(SYNCED.format(url=remote, more=more))


@pytest.mark.parametrize("kind", [sync_server, own_remote], ids=["bare", "behind-the-proxy"])
def test_a_mounted_instance_and_upstreams_program(project, make_project, mounted, kind):
    agentfs = need("AGENTFS_BIN")
    with kind(make_project(None)) as remote:
        to_and_fro(project, mounted, remote, agentfs)


def to_and_fro(project, mounted, remote, agentfs):
    declare(project, remote.url, remote.more)
    content = os.urandom(300_000)
    theirs = project.base / "theirs"
    theirs.mkdir()

    env = {"RUST_LOG": "off", "TURSO_DB_AUTH_TOKEN": remote.token or ""}

    def upstream(*words, **options):
        return project.command(agentfs, *words, cwd=theirs, env=env, **options)

    with mounted() as root:
        (root / "folder").mkdir()
        (root / "folder/ours").write_bytes(content)
        project.helper("sync", "push")
        upstream("init", "world", "--sync-remote-url", remote.url)
        there = upstream("fs", "world", "cat", "/folder/ours", text=False).stdout
        assert there == content
        upstream("fs", "world", "write", "/theirs", "written by upstream")
        upstream("sync", "world", "push")
        project.helper("sync", "pull")
        assert (root / "theirs").read_text() == "written by upstream"
        (root / "theirs").write_text("and by us")
        (root / "folder/ours").unlink()
        project.helper("sync", "push")
        upstream("sync", "world", "pull")
        assert upstream("fs", "world", "cat", "/theirs").stdout == "and by us"
        assert "ours" not in upstream("fs", "world", "ls").stdout


def test_what_is_pulled_is_seen_in_a_mount_that_has_it_open(project, mounted, remote):
    declare(project, remote)
    other = Project()
    try:
        declare(other, remote)
        other.helper("init")
        with mounted() as root:
            (root / "letter").write_text("first")
            (root / "gone").write_text("x")
            project.helper("sync", "push")
            other.helper("sync", "pull")
            other.helper("fs", "write", "letter", input="second, and longer")
            other.helper("fs", "rm", "gone")
            other.helper("fs", "mkdir", "new")
            other.helper("fs", "write", "new/file", input="n")
            other.helper("sync", "push")
            # What the kernel has learnt by now it must not go on believing.
            assert (root / "letter").read_text() == "first"
            assert sorted(os.listdir(root)) == ["gone", "letter"]
            project.helper("sync", "pull")
            assert (root / "letter").read_text() == "second, and longer"
            assert sorted(os.listdir(root)) == ["letter", "new"]
            assert (root / "new/file").read_text() == "n"
            assert not (root / "gone").exists()
    finally:
        other.close()


def test_a_writer_in_the_mount_and_pulls_at_once(project, mounted, remote):
    """Nobody waits for nobody: a kernel that is told of a change may ask before it listens."""
    declare(project, remote)
    other = Project()
    try:
        declare(other, remote)
        other.helper("init")
        with mounted() as root:
            for round_ in range(6):
                other.helper("sync", "push", check=False)
                writer = project.start(
                    "sh",
                    "-c",
                    f"for i in $(seq 60); do echo {round_} > mine-$i; cat theirs 2> /dev/null || true; done",
                    cwd=root,
                    stdout=subprocess.DEVNULL,
                )
                other.helper("fs", "write", "theirs", input=f"{round_}" * 1000)
                other.helper("sync", "push")
                pulled = project.helper("sync", "pull", check=False)
                assert writer.wait(20) == 0
                # It gives up rather than overwrite what is being written.
                if pulled.returncode != 0:
                    assert "nixbox::sync::overtaken" in pulled.stderr
                    project.helper("sync", "pull")
                assert (root / "theirs").read_text() == f"{round_}" * 1000
                assert (root / "mine-60").read_text() == f"{round_}\n"
                time.sleep(0.01)
    finally:
        other.close()
