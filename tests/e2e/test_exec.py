"""`exec`: a command that sees the instance in the place of the project, and ends as itself."""

import json
import os
import signal
import subprocess
from pathlib import Path

import jsonschema
import pytest
from support import HELPER, eventually, need, scaled

CONFIG = """\
version = 1

[instances.sandbox]
base = "work"
mount.path = ".agentfs/mnt"
"""


@pytest.fixture
def lain(project):
    """An instance over the folder `work`, served."""
    need("fuse")
    work = project.root / "work"
    (work / "sub").mkdir(parents=True)
    (work / "f").write_text("real")
    project.work = work
    project.configure(CONFIG)
    project.owner = project.serve()
    yield project
    assert project.stop(project.owner) == 0


def calls(project):
    return [call for call in project.json("timeline", "--json")["calls"] if call["name"] == "exec"]


def test_the_projects_own_path_shows_the_instance(lain):
    script = f"cat {lain.work}/f; pwd; echo mine >f; ln -s f l; echo $AGENTFS_MOUNT"
    done = lain.helper("exec", "sandbox", "--", "sh", "-c", script, cwd=lain.work)
    if "in the place of" in done.stderr:
        pytest.skip("optional: mount namespaces are not allowed here")
    assert done.stdout == f"real{lain.work}\n{lain.work}\n"
    assert (lain.work / "f").read_text() == "real" and not (lain.work / "l").exists()
    assert (lain.mount / "f").read_text() == "mine\n"
    # From wherever it is called, as far as that is seen inside.
    where = lambda folder: lain.helper("exec", "--", "pwd", cwd=folder).stdout.strip()
    assert where(lain.work / "sub") == where(lain.mount / "sub") == str(lain.work / "sub")
    assert where(lain.root) == str(lain.work)
    call = calls(lain)[-1]
    assert call["status"] == "success" and call["parameters"]["command"] == ["sh", "-c", script], call


def test_it_ends_as_its_command_does(lain):
    def code(*words):
        return lain.helper("exec", *words, check=False).returncode

    assert code("--", "sh", "-c", "exit 9") == 9
    assert code("--", "sh", "-c", "kill -9 $$") == 137
    assert code("--", "no-such-program") == 127
    assert code("--", str(lain.work / "f")) == 126
    assert code("--timeout", "0.3", "--", "sleep", "60") == 125
    assert code("-w", "nowhere", "--", "true") == 125
    assert code("-u", "no-such-user", "--", "true") == 125
    assert code("nobodys", "--", "true") == 125
    failed = {call["error"] for call in calls(lain)}
    assert {"exit code 9", "exit code 137", "`no-such-program` was not found"} <= failed, failed


def test_what_goes_in_and_what_comes_out(lain):
    assert lain.helper("exec", "-i", "--", "tr", "a-z", "A-Z", input="in and out").stdout == "IN AND OUT"
    assert lain.helper("exec", "--", "cat", input="is not passed on").stdout == ""
    said = lain.helper("exec", "-e", "A=b c", "-e", "HOME", "--", "sh", "-c", 'echo "$A $HOME $AGENTFS_ID"').stdout
    assert said == f"b c {lain.home} sandbox\n"
    done = lain.helper("exec", "--json", "--", "sh", "-c", "echo o; echo e >&2; exit 3", check=False)
    answer = json.loads(done.stdout)
    assert done.returncode == answer["exit_code"] == 3
    assert (answer["stdout"], answer["stderr"]) == ("o\n", "e\n")
    jsonschema.validate(answer, json.loads(lain.helper("schema", "exec").stdout))
    # Passed through as it is, of any size.
    size = lain.command("sh", "-c", f"'{HELPER}' exec -- head -c 20000000 /dev/zero | wc -c").stdout
    assert size.strip() == "20000000"


def test_a_signal_is_passed_on(lain):
    ready = lain.root / "ready"
    script = f"trap 'echo told; exit 4' TERM; touch {ready}; while :; do sleep 0.05; done"
    child = lain.start(HELPER, "exec", "--", "sh", "-c", script, stdout=subprocess.PIPE, text=True)
    eventually(ready.exists, 10, what="the command")
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=10)[0] == "told\n" and child.returncode == 4


def test_it_needs_an_instance_that_is_up(project):
    project.configure(CONFIG)
    (project.root / "work").mkdir()
    failed = project.helper("exec", "--", "true", check=False)
    assert failed.returncode == 125 and "up -d sandbox" in failed.stderr, failed.stderr


def test_who_is_not_root_has_the_same(make_project):
    need("fuse")
    need("setpriv")
    if os.geteuid() != 0:
        pytest.skip("optional: only root can become somebody else")
    project = make_project(CONFIG)
    work = project.root / "work"
    work.mkdir()
    (work / "f").write_text("real")
    for folder in (project.base, project.root, project.runtime, project.home, work, work / "f"):
        os.chown(folder, 65534, 65534)
    os.chmod(project.base, 0o755)
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    owner = project.start(*as_nobody, HELPER, "serve", "sandbox", stderr=subprocess.DEVNULL)
    project.command(*as_nobody, HELPER, "wait", "--timeout", "20")
    script = "id -u; cat f; echo mine >f; pwd"
    done = project.command(*as_nobody, HELPER, "exec", "--", "sh", "-c", script, cwd=work)
    uid, content, where = done.stdout.replace("real", "real\n").split()
    assert (uid, content) == ("65534", "real")
    # User namespaces may be forbidden; then the command is told where it was.
    assert where == str(work) or "in the place of" in done.stderr, done.stderr
    assert (work / "f").read_text() == "real"
    assert project.stop(owner) == 0


def test_nothing_is_left_of_many(lain):
    def held():
        process = Path("/proc") / str(lain.owner.pid)
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    rounds = scaled(40, 1000)
    lain.helper("exec", "--", "cat", "f")
    before = held()
    for number in range(rounds):
        assert lain.helper("exec", "--", "sh", "-c", "cat f >/dev/null; echo $0", str(number)).stdout == f"{number}\n"
    descriptors, threads = held()
    assert descriptors <= before[0] + 2 and threads <= before[1] + 4, (before, held())
    assert len(calls(lain)) >= min(rounds, 100)
    # No copy of the mount is left in a namespace of somebody's.
    lain.command("umount", str(lain.mount)) if os.geteuid() == 0 else None
    if os.geteuid() == 0:
        assert lain.owner.wait(10) == 0
        lain.owner = lain.serve()


@pytest.fixture
def terminal(lain):
    need("tmux")
    lain.env["TERM"] = "xterm-256color"
    tmux = ["tmux", "-S", str(lain.runtime / "tmux"), "-f", "/dev/null"]
    line = f"'{HELPER}' exec -it -- sh; echo code=$?; exec sleep 1000"
    lain.command(*tmux, "new-session", "-d", "-s", "t", "-x", "120", "-y", "40", "sh", "-c", line, cwd=lain.work)
    lain.command(*tmux, "set-option", "-t", "t", "status", "off")
    yield lambda *args: lain.command(*tmux, *args).stdout
    lain.command(*tmux, "kill-server", check=False)
    (lain.runtime / "tmux").unlink(missing_ok=True)


def test_a_terminal_of_its_own(lain, terminal):
    def shows(word):
        eventually(lambda: word in terminal("capture-pane", "-p", "-t", "t"), 20, what=f"`{word}` on the screen")

    def enter(line):
        terminal("send-keys", "-t", "t", line, "Enter")

    enter("echo in=$(pwd) size=$(stty size | tr ' ' x)")
    shows(f"in={lain.work}")
    terminal("resize-window", "-t", "t", "-x", "100", "-y", "30")
    enter("sleep 0.2; echo now=$(stty size | tr ' ' x)")
    shows("now=30x100")
    # Interrupts what runs inside, and not `exec`.
    enter("sleep 100; echo interrupted=$?")
    eventually(lambda: sleeping(lain), 10, what="the sleep")
    terminal("send-keys", "-t", "t", "C-c")
    enter("echo still=here")
    shows("still=here")
    enter("exit 6")
    shows("code=6")


def sleeping(project):
    for process in Path("/proc").iterdir():
        try:
            if (process / "cmdline").read_bytes() == b"sleep\x00100\x00":
                return project.mark.encode() in (process / "environ").read_bytes()
        except OSError:
            continue
    return False
