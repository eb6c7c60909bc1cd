"""How editors and tools save: beside and renamed over, or in place, with a backup that is a link, a copy or the old file."""

import os
import shutil
import subprocess
import tempfile

import pytest
from support import need


def document(folder):
    (folder / "file.txt").write_text("one\ntwo\n")
    (folder / "file.txt").chmod(0o640)


@pytest.fixture
def text(mounted):
    mounted.stock(document)
    return mounted.mount / "file.txt"


@pytest.mark.parametrize("copy", ["yes", "no", "auto"])
def test_vim(mounted, text, copy):
    vim = shutil.which("vim") or need("vim.tiny")
    commands = [f"set backup backupskip= backupcopy={copy}", "%s/two/three/", "wq"]
    arguments = [part for command in commands for part in ("-c", command)]
    mounted.command(vim, "-u", "NONE", "-es", *arguments, text, cwd=mounted.mount)
    assert text.read_text() == "one\nthree\n"
    assert oct(text.stat().st_mode & 0o777) == "0o640"
    assert (mounted.mount / "file.txt~").read_text() == "one\ntwo\n"
    assert sorted(os.listdir(mounted.mount)) == ["file.txt", "file.txt~"]


@pytest.mark.parametrize("tool", [("sed", "-i", "s/two/three/"), ("perl", "-pi", "-e", "s/two/three/")], ids=["sed", "perl"])
def test_tools_that_edit_in_place(mounted, text, tool):
    need(tool[0])
    mounted.command(*tool, text)
    assert text.read_text() == "one\nthree\n"
    assert os.listdir(mounted.mount) == ["file.txt"]


def test_written_beside_and_renamed_over(mounted, text):
    """And read all the while: either the old text or the new one, never none."""
    watch = (
        "import sys\nfor _ in range(3000):\n    text = open(sys.argv[1]).read()\n"
        "    assert text.startswith('one') and text.endswith('\\n'), text\n"
    )
    readers = [mounted.start("python3", "-S", "-c", watch, text, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for number in range(150):
        handle, beside = tempfile.mkstemp(dir=mounted.mount)
        with os.fdopen(handle, "w") as file:
            file.write(f"one\n{number}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, text)
    for reader in readers:
        assert reader.communicate(timeout=60) == (None, "") and reader.returncode == 0
    assert text.read_text() == "one\n149\n" and os.listdir(mounted.mount) == ["file.txt"]


def test_a_backup_that_is_a_link(mounted, text):
    backup = mounted.mount / "file.bak"
    for number in range(5):
        backup.unlink(missing_ok=True)
        backup.hardlink_to(text)
        before = text.read_text()
        (mounted.mount / "new").write_text(f"version {number}")
        (mounted.mount / "new").replace(text)
        assert (backup.read_text(), backup.stat().st_nlink) == (before, 1)
    # In place, both names are written to.
    text.unlink()
    text.hardlink_to(backup)
    text.write_text("both")
    assert backup.read_text() == "both"


def test_a_file_without_a_name(mounted):
    with tempfile.TemporaryFile(dir=mounted.mount) as file:
        file.write(b"x" * 100_000)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        assert file.read() == b"x" * 100_000
        assert os.listdir(mounted.mount) == []


HOLD = "import fcntl, sys\nfile = open(sys.argv[1], 'r+')\n{}\nprint('held', flush=True)\nsys.stdin.read()\n"


@pytest.mark.parametrize("lock", ["fcntl.flock(file, fcntl.LOCK_EX)", "fcntl.lockf(file, fcntl.LOCK_EX, 2, 1)"])
def test_locks_hold_between_processes(mounted, text, lock):
    holder = mounted.start(
        "python3", "-S", "-c", HOLD.format(lock), text, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    attempt = HOLD.format(lock.replace("LOCK_EX", "LOCK_EX | fcntl.LOCK_NB"))
    refused = mounted.command("python3", "-S", "-c", attempt, text, check=False)
    assert refused.returncode != 0 and "BlockingIOError" in refused.stderr
    # What the lock does not cover is free.
    if "lockf" in lock:
        mounted.command("python3", "-S", "-c", attempt.replace("2, 1", "2, 3"), text)
    holder.communicate("")
    mounted.command("python3", "-S", "-c", attempt, text)
    assert mounted.command("flock", text, "true").returncode == 0
