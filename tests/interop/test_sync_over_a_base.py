"""Two machines, each with a checkout of its own under a mount, and the real sync server: the changes travel, the checkouts stay."""

import os
import subprocess

import pytest
from support import OVER, eventually, need

FILES = {"src/main.rs": "fn main() {}\n", "src/lib.rs": "pub mod a;\n", "README": "a project\n", "docs/guide.md": "a guide\n"}


def declared(remote_url):
    return OVER.replace("version = 1\n", f'version = 1\n\n[remotes.team]\nurl = "{remote_url}"\n').replace(
        'base = "base"\n', 'base = "base"\nsync.remote = "team"\n'
    )


@pytest.fixture
def machines(make_project, remote):
    """Two projects with like checkouts of different times, both mounted."""
    need("fuse")
    both = []
    for hour in (1, 7):
        one = make_project(declared(remote))
        for path, content in FILES.items():
            (one.below / path).parent.mkdir(parents=True, exist_ok=True)
            (one.below / path).write_text(content)
            os.utime(one.below / path, (hour * 3600, hour * 3600))
        both.append((one, one.serve()))
    yield [one for one, _ in both]
    for one, owner in both:
        assert one.stop(owner) == 0


def status(project):
    return [(change["kind"], change["path"], change["diverged"]) for change in project.json("status", "--json")["changes"]]


def checkout(project):
    return {path: (project.below / path).read_text() for path in FILES}


def test_changes_travel_from_mount_to_mount(machines):
    one, two = machines
    (one.mount / "src/main.rs").write_text("fn main() { run() }\n")
    with (one.mount / "src/lib.rs").open("a") as lib:
        lib.write("pub mod b;\n")
    (one.mount / "src/b.rs").write_text("new\n")
    (one.mount / "README").unlink()
    (one.mount / "docs/guide.md").rename(one.mount / "guide.md")
    (one.mount / "docs").chmod(0o700)
    # What the other machine's kernel has learnt before.
    assert (two.mount / "src/main.rs").read_text() == FILES["src/main.rs"]
    shell = two.start("sh", "-c", "read go; cat new || cat b.rs", cwd=two.mount / "src", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    one.helper("sync", "push")
    told = two.json("sync", "status", "--json")["to_pull"]
    assert ("/README", "gone") in [(change["name"], change["after"]["kind"]) for change in told]
    two.helper("sync", "pull")
    assert shell.communicate(b"\n", timeout=20)[0] == b"new\n"
    for machine in machines:
        assert (machine.mount / "src/main.rs").read_text() == "fn main() { run() }\n"
        assert (machine.mount / "src/lib.rs").read_text() == "pub mod a;\npub mod b;\n"
        assert sorted(os.listdir(machine.mount)) == ["docs", "guide.md", "src"]
        assert (machine.mount / "docs").stat().st_mode & 0o777 == 0o700
        assert checkout(machine) == FILES
    assert status(one) == status(two)
    assert one.helper("diff").stdout == two.helper("diff").stdout
    # And back, from a program that has the file open.
    with (two.mount / "src/lib.rs").open("a") as lib:
        lib.write("pub mod c;\n")
    (two.mount / "guide.md").unlink()
    two.helper("sync", "push")
    one.helper("sync", "pull")
    assert (one.mount / "src/lib.rs").read_text().endswith("pub mod c;\n")
    assert not (one.mount / "guide.md").exists()
    assert status(one) == status(two)
    # A whole new start changes nothing of it.
    assert one.json("sync", "status", "--json")["to_push"] == []


def test_a_checkout_that_moved_on_is_told_and_never_written(machines):
    one, two = machines
    (two.below / "src/main.rs").write_text("fn main() { moved_on() }\n")
    (one.mount / "src/main.rs").write_text("fn main() { run() }\n")
    (one.mount / "src/lib.rs").write_text("pub mod z;\n")
    one.helper("sync", "push")
    two.helper("sync", "pull")
    assert not any(diverged for _, _, diverged in status(one))
    assert [path for _, path, diverged in status(two) if diverged] == ["src/main.rs"]
    assert (two.mount / "src/main.rs").read_text() == "fn main() { run() }\n"
    assert (two.below / "src/main.rs").read_text() == "fn main() { moved_on() }\n"


def test_a_deletion_against_a_change_is_settled_by_somebody(machines):
    one, two = machines
    (one.mount / "README").unlink()
    (two.mount / "README").write_text("changed\n")
    one.helper("sync", "push")
    refused = two.helper("sync", "push", check=False)
    assert refused.returncode == 5 and "nixbox::sync::conflict" in refused.stderr
    assert (two.mount / "README").read_text() == "changed\n"
    conflicts = two.json("sync", "conflicts", "--json")["conflicts"]
    assert [(one["name"], one["ours"]["kind"], one["theirs"]["kind"]) for one in conflicts] == [("/README", "file", "gone")]
    two.helper("sync", "resolve", "README", "--theirs")
    two.helper("sync", "push")
    eventually(lambda: not (two.mount / "README").exists(), 2, what="the file to be gone")
    assert status(one) == status(two)


def test_an_instance_without_a_base_is_refused(machines, make_project, remote):
    one, _ = machines
    (one.mount / "README").write_text("changed\n")
    one.helper("sync", "push")
    whole = make_project(declared(remote).replace('base = "base"\n', ""))
    whole.helper("init")
    whole.helper("fs", "write", "a", input="a")
    refused = whole.helper("sync", "push", check=False)
    assert refused.returncode == 5 and "nixbox::sync::kind" in refused.stderr
    assert whole.helper("fs", "ls").stdout.split() == ["a"]


def test_upstreams_program_sees_the_files_of_a_layer(machines, remote):
    agentfs = need("AGENTFS_BIN")
    one, _ = machines
    (one.mount / "src/main.rs").write_text("fn main() { run() }\n")
    (one.mount / "README").unlink()
    one.helper("sync", "push")
    theirs = one.base / "theirs"
    theirs.mkdir()
    quiet = {"cwd": theirs, "env": {"RUST_LOG": "off"}}
    one.command(agentfs, "init", "world", "--sync-remote-url", remote, **quiet)
    assert one.command(agentfs, "fs", "world", "cat", "/src/main.rs", **quiet).stdout == "fn main() { run() }\n"
    assert "lib.rs" not in one.command(agentfs, "fs", "world", "ls", **quiet).stdout
