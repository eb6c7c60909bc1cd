"""`up` in a real terminal: a table that comes to ready, and Ctrl-C or a closed window that ends everything."""

import pytest
from support import HELPER, eventually, need


@pytest.fixture
def terminal(project):
    need("fuse")
    need("tmux")
    project.env["TERM"] = "xterm-256color"
    tmux = ["tmux", "-S", str(project.runtime / "tmux"), "-f", "/dev/null"]
    # Ctrl-C is for the whole foreground group, this shell too.
    line = f"trap : INT; '{HELPER}' up; echo code=$?; exec sleep 1000"
    project.command(*tmux, "new-session", "-d", "-s", "t", "-x", "150", "-y", "40", "sh", "-c", line)
    yield lambda *args: project.command(*tmux, *args).stdout
    project.command(*tmux, "kill-server", check=False)
    (project.runtime / "tmux").unlink(missing_ok=True)


def shows(terminal, word):
    return lambda: word in terminal("capture-pane", "-p", "-t", "t")


def test_the_table_comes_to_ready_and_ctrl_c_ends_it(project, terminal):
    eventually(shows(terminal, "sandbox"), 20, what="the instance in the table")
    eventually(shows(terminal, "ready"), 20, what="ready in the table")
    project.helper("ready", "sandbox")
    terminal("send-keys", "-t", "t", "C-c")
    eventually(shows(terminal, "code="), 5, what="the end of up")
    screen = terminal("capture-pane", "-p", "-t", "t")
    assert "code=0" in screen or "code=130" in screen, screen


def test_closing_the_window_ends_it_too(project, terminal):
    project.helper("wait", "sandbox", "--timeout", "20")
    terminal("kill-session", "-t", "t")
    eventually(lambda: not project.leftovers().mounts, 5, what="unmounted")
