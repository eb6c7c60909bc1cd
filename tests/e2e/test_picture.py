"""What `up` keeps up, seen on a terminal: the picture, its keys, and coming back to it."""

import pytest
from support import HELPER, eventually, need

JOBS = """\
version = 1

[instances.sandbox]
mount.path = ".agentfs/mnt"

[jobs.talker]
exec = ["sh", "-c", "echo first words; exec sleep 1000"]
"""


@pytest.fixture
def project(make_project):
    return make_project(JOBS)


@pytest.fixture
def terminal(project):
    need("fuse")
    need("tmux")
    project.env["TERM"] = "xterm-256color"
    tmux = ["tmux", "-S", str(project.runtime / "tmux"), "-f", "/dev/null"]

    def open_with(*verb):
        line = f"trap : INT; '{HELPER}' {' '.join(verb)}; echo code=$?; exec sleep 1000"
        project.command(*tmux, "new-session", "-d", "-s", "t", "-x", "150", "-y", "30", "sh", "-c", line)
        return lambda *args: project.command(*tmux, *args).stdout

    yield open_with
    project.command(*tmux, "kill-server", check=False)
    (project.runtime / "tmux").unlink(missing_ok=True)


def row(terminal, name):
    """The words of its row, none where there is none."""
    screen = terminal("capture-pane", "-p", "-t", "t")
    return next((line.split() for line in screen.splitlines() if line.startswith(name)), [])


def jobs(project):
    return {row["job"]: row for row in project.json("ps", "--json")["jobs"]}


def test_rows_and_keys(project, terminal):
    screen = terminal("up")
    eventually(lambda: "ready" in row(screen, "talker"), 20, what="the job in its row")
    eventually(lambda: "mounted" in row(screen, "sandbox"), 5, what="that the instance is mounted")
    eventually(lambda: row(screen, "talker")[-2:] == ["first", "words"], 5, what="what it said last")
    eventually(lambda: "MiB" in row(screen, "talker"), 5, what="its memory")
    before = jobs(project)["talker"]["pid"]

    # In the order in which they were started, the job is the second.
    screen("send-keys", "-t", "t", "j", "r")
    eventually(lambda: jobs(project)["talker"]["pid"] not in (before, None), 10, what="a restart")
    screen("send-keys", "-t", "t", "s")
    eventually(lambda: "stopped" in row(screen, "talker"), 10, what="stopped")
    screen("send-keys", "-t", "t", "r")
    eventually(lambda: "ready" in row(screen, "talker"), 10, what="started again")
    screen("send-keys", "-t", "t", "l")
    shown = lambda: screen("capture-pane", "-p", "-t", "t").count("first words") >= 3
    eventually(shown, 5, what="what it said, each time that it was started")

    screen("send-keys", "-t", "t", "C-c")
    eventually(lambda: "code=0" in screen("capture-pane", "-p", "-t", "t"), 10, what="the end of up")


def test_leaving_it_changes_nothing(project, terminal):
    project.helper("up", "-d")
    before = jobs(project)["talker"]["pid"]
    screen = terminal("attach")
    eventually(lambda: "ready" in row(screen, "talker"), 20, what="the job in its row")
    screen("send-keys", "-t", "t", "q")
    eventually(lambda: "code=0" in screen("capture-pane", "-p", "-t", "t"), 5, what="the end of attach")
    assert jobs(project)["talker"]["pid"] == before
    project.helper("down")


def test_what_takes_most_is_sorted_as_keys_say(project, terminal):
    project.helper("up", "-d")
    screen = terminal("top")
    eventually(lambda: "%" in row(screen, "talker") and "%" in row(screen, "sandbox"), 10, what="both in their rows")
    eventually(lambda: row(screen, "NAME") and "CPU▾" in row(screen, "NAME"), 5, what="that processors come first")
    (project.root / ".agentfs/mnt/big").write_bytes(b"x" * 3_000_000)
    # A file that is written has been asked for, and its bytes are in the database.
    eventually(lambda: "MiB" in row(screen, "sandbox")[-1], 10, what="how large the database is")
    screen("send-keys", "-t", "t", "n")
    first = lambda: [line.split()[0] for line in screen("capture-pane", "-p", "-t", "t").splitlines()[1:3]]
    eventually(lambda: first() == ["sandbox", "talker"], 5, what="the order of the names")
    screen("send-keys", "-t", "t", "q")
    eventually(lambda: "code=0" in screen("capture-pane", "-p", "-t", "t"), 5, what="the end of top")
    project.helper("down")
