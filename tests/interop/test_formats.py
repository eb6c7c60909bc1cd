"""Databases that upstream's programs have made, of every version there is, and those that we hand to them."""

import json
import shutil
import sqlite3
import subprocess

import pytest
from sdks import Sdk
from support import HELPER, need

WITHOUT_MOUNT = 'version = 1\nruntime_dir = "run"\n[instances.sandbox]\nmount.backend = "none"\n'


@pytest.fixture
def helper(project):
    """`helper("fs", "ls")` in a project without a mount; the exit code is checked."""
    (project.root / "nixbox.toml").write_text(WITHOUT_MOUNT)

    def run(*words, code=0):
        done = project.command(HELPER, *words, check=False)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    return run


def columns(database):
    db = sqlite3.connect(database)
    names = [row[1] for row in db.execute("PRAGMA table_info(fs_inode)")]
    db.close()
    return names


def fold(database):
    """Their log folded in, as by any SQLite program: what is left is one file."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def test_what_an_old_sdk_has_written_is_migrated_and_read_by_all(project, helper):
    database = project.database()
    database.parent.mkdir(parents=True)
    old = Sdk("npm-0.5", database)
    old.write({"/notes.md": b"old notes", "/deep/er/file": bytes(range(256)) * 50, "/empty": b""})
    old.calls(["set", "plan", {"step": 3}], ["record", "grep", {"hits": 2}])
    assert "nlink" in columns(database) and "mtime_nsec" not in columns(database), "schema 0.2"
    assert "nixbox-helper migrate" in helper("fs", "ls", code=7)

    done = json.loads(helper("migrate", "--json"))
    assert (done["from"], done["to"]) == ("0.2", "0.4") and done["steps"]
    assert "nixbox-helper migrate" in helper("fsck", done["backup"], code=7), "the copy is the old one"
    assert helper("fsck") == "sandbox: nothing wrong\n"
    assert helper("migrate") == "sandbox: schema 0.4, up to date\n"
    assert helper("fs", "cat", "/notes.md") == "old notes"
    assert json.loads(helper("kv", "get", "plan")) == {"step": 3}
    for name in ("npm", "pypi"):
        new = Sdk(name, database)
        assert new.read("/notes.md", "/deep/er/file", "/empty") == [b"old notes", bytes(range(256)) * 50, b""]
        new.write({f"/of-{name}": b"new"})
    assert helper("fs", "cat", "/of-npm") == "new"


@pytest.mark.parametrize("name", ["npm", "pypi"])
def test_what_the_sdks_make_has_nothing_wrong_that_counts(project, helper, name):
    database = project.database()
    database.parent.mkdir(parents=True)
    sdk = Sdk(name, database)
    sdk.write({"/a": b"1" * 5000, "/d/b": b"2"})
    sdk.calls(["set", "k", [1]], ["record", "t", None])
    assert helper("fsck") == "sandbox: nothing wrong\n"
    assert helper("migrate") == "sandbox: schema 0.4, up to date\n"


@pytest.mark.parametrize("name", ["npm", "pypi"])
def test_a_database_of_an_sdk_is_brought_in_and_what_is_taken_out_is_read_by_it(project, helper, name):
    theirs = project.root / "theirs.db"
    sdk = Sdk(name, theirs)
    sdk.write({"/a": b"1" * 5000, "/d/b": b"2"})
    sdk.calls(["set", "k", [1]], ["record", "t", {"n": 1}])
    before = theirs.read_bytes()
    # Never made: it becomes that.
    helper("import", "sandbox", theirs)
    assert helper("fs", "cat", "/d/b") == "2"
    helper("fs", "rm", "-r", "/a", "/d")
    # Made already: merged.
    helper("import", "sandbox", theirs, "--into", "/merged")
    assert theirs.read_bytes() == before
    assert helper("fs", "cat", "/merged/a") == "1" * 5000
    calls = json.loads(helper("timeline", "--tool", "t", "--json"))["calls"]
    assert len(calls) == 2 and calls[0]["id"] != calls[1]["id"]

    helper("export", "--db", "out.db")
    taken = Sdk(name, project.root / "out.db")
    assert taken.read("/merged/a", "/merged/d/b") == [b"1" * 5000, b"2"]
    assert taken.call("get", "k") == [1]


def test_upstreams_program_reads_what_was_migrated_and_what_was_exported(project, helper):
    agentfs = need("AGENTFS_BIN")
    database = project.database()
    database.parent.mkdir(parents=True)
    Sdk("npm-0.5", database).write({"/notes.md": b"old notes"})
    fold(database)
    twin = project.root / "twin.db"
    shutil.copy(database, twin)
    # It names the same version of the same file.
    said = subprocess.run([agentfs, "migrate", twin, "--dry-run"], capture_output=True, text=True, check=True).stdout
    done = json.loads(helper("migrate", "--json"))
    assert f"Current schema version: {done['from']}" in said
    said = subprocess.run([agentfs, "migrate", database], capture_output=True, text=True, check=True).stdout
    assert "already at the latest" in said
    # What its own migration leaves undone, ours finds in that, too.
    subprocess.run([agentfs, "migrate", twin], capture_output=True, check=True)
    helper("migrate", twin)
    assert helper("fsck", twin) == f"{twin}: nothing wrong\n"

    helper("export", "--db", "out.db")
    for path in (database, twin, project.root / "out.db"):
        assert project.command(agentfs, "fs", path, "cat", "/notes.md").stdout == "old notes"
        for journal in path.parent.glob(f"{path.name}-*"):
            journal.unlink()


def test_what_upstreams_program_makes_has_nothing_wrong_but_what_is_known(project, helper):
    agentfs = need("AGENTFS_BIN")
    subprocess.run([agentfs, "init", "made"], cwd=project.root, capture_output=True, check=True)
    made = project.root / ".agentfs" / "made.db"
    subprocess.run([agentfs, "fs", made, "write", "/f", "hello"], capture_output=True, check=True)
    found = json.loads(project.command(HELPER, "fsck", made, "--json", check=False).stdout)
    assert [one["code"] for one in found["findings"]] == ["lost-autoincrement"]
    helper("migrate", made)
    assert helper("fsck", made) == f"{made}: nothing wrong\n"
    assert project.command(agentfs, "fs", made, "cat", "/f").stdout.startswith("hello")
