"""Whatever somebody says at the control socket, or does not say: the owner answers others, and ends in time."""

import json
import os
import random
import socket
import struct
import subprocess
import time
from contextlib import ExitStack

import pytest
from support import HELPER, need

NOBODY = 65534


@pytest.fixture
def served(project):
    need("fuse")
    owner = project.serve()
    (project.mount / "file").write_text("content")
    project.socket = project.exports()["AGENTFS_SOCKET"]
    project.owner = owner
    yield project
    # It lives, answers at once, and ends in time.
    begun = time.monotonic()
    assert project.helper("fs", "cat", "/file").stdout == "content"
    assert time.monotonic() - begun < 3
    assert project.stop(owner) == 0


def say(path, data, close=True):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(15)
        peer.connect(path)
        try:
            peer.sendall(data)
            if close:
                peer.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := peer.recv(65536):
                heard += piece
        except ConnectionError:
            pass
        return heard


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])


def test_a_line_without_end_is_refused(served):
    before = memory(served.owner.pid)
    heard = say(served.socket, b"x" * 10_000_000)
    assert not heard or json.loads(heard)["code"] == "nixbox::control::line-too-long"
    assert memory(served.owner.pid) < before + 5000


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE, 256 * 1024 + 1])
def test_a_frame_that_is_too_long_is_not_waited_for(served, length):
    before = memory(served.owner.pid)
    request = {"request": "kv", "do": "set", "key": "k"}
    say(served.socket, json.dumps(request).encode() + b"\n" + struct.pack(">I", length) + b"x" * 1000)
    assert memory(served.owner.pid) < before + 5000
    assert served.helper("kv", "get", "k", check=False).returncode == 3


def test_rubbish(served):
    chance = random.Random(7)
    for _ in range(200):
        data = chance.randbytes(chance.randrange(300))
        if chance.random() < 0.5:
            data = json.dumps({"request": chance.choice(["kv", "files", "tool", "stop?", 7, None]), "do": data.hex()}).encode()
        say(served.socket, data + b"\n")


def test_peers_that_say_nothing_and_peers_that_do_not_listen(served):
    with ExitStack() as kept:
        for number in range(200):
            peer = kept.enter_context(socket.socket(socket.AF_UNIX))
            peer.connect(served.socket)
            if number % 2:
                peer.sendall(b'{"request":"subscribe"}\n')
            elif number % 4:
                peer.sendall(b'{"request":')
        begun = time.monotonic()
        assert served.helper("fs", "cat", "/file").stdout == "content"
        assert time.monotonic() - begun < 3


def test_a_body_that_stops_in_the_middle_writes_nothing_and_holds_nothing_up(served):
    writing = served.start(HELPER, "fs", "write", "/half", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    writing.stdin.write(b"x" * 500_000)
    writing.stdin.flush()
    time.sleep(0.3)
    assert not (served.mount / "half").exists()
    writing.kill()
    writing.wait(5)
    writing.stdin.close()
    time.sleep(0.2)
    assert sorted(os.listdir(served.mount)) == ["file"]


# Others may not enter the home of who runs the tests, where their Python is.
PYTHON = "/usr/bin/python3"


def as_nobody(project, code, *args):
    if os.geteuid() != 0:
        pytest.skip("optional: only root can be somebody else")
    return project.command(PYTHON, "-S", "-c", code, *args, check=False, user=NOBODY, group=NOBODY)


CONNECT = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(5)
try:
    peer.connect(sys.argv[1])
    peer.sendall(b'{"request":"status"}\\n')
    print(peer.recv(9999))
except OSError as error:
    print(type(error).__name__)
"""


def test_another_user_is_told_nothing(served):
    assert as_nobody(served, CONNECT, served.socket).stdout.strip() == "PermissionError"
    # And not either where the folder has been opened to everybody.
    folder = os.path.dirname(served.socket)
    for path in (served.base, served.runtime, os.path.dirname(folder), folder, served.socket):
        os.chmod(path, 0o777)
    assert as_nobody(served, CONNECT, served.socket).stdout.strip() in ("b''", "ConnectionResetError", "BrokenPipeError")
    os.chmod(folder, 0o700)


LISTEN = """
import os, socket, sys
os.umask(0)
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("listening", flush=True)
while True:
    peer, _ = listening.accept()
    print("heard", peer.recv(9999), flush=True)
"""


def test_nobody_is_told_to_a_socket_of_another_user(make_project):
    """Who may write to the runtime folder can put a socket there, and must not be told anything. Asked as a user: root
    may talk to everybody's owners."""
    if os.geteuid() != 0:
        pytest.skip("optional: only root can be somebody else")
    project = make_project('version = 1\nruntime_dir = "run"\n[instances.sandbox]\nmount.backend = "none"\n')
    run = project.root / "run"
    run.mkdir()
    for path in (project.base, project.root, project.home, run):
        path.chmod(0o777)
    listening = project.start(
        PYTHON, "-S", "-c", LISTEN, run / "sandbox.sock", stdout=subprocess.PIPE, text=True, user=NOBODY - 1
    )
    assert listening.stdout.readline() == "listening\n"
    for verb in (("kv", "set", "secret", "1"), ("fs", "ls"), ("stop",), ("ready",)):
        done = project.helper(*verb, check=False, timeout=20, user=NOBODY, group=NOBODY)
        assert done.returncode != 0, (verb, done)
    listening.kill()
    assert "request" not in listening.communicate()[0]
    (run / "sandbox.sock").unlink(missing_ok=True)
