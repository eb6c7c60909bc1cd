"""A remote: the sync server that npm has, and a network before it that does on purpose what networks do."""

import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager

from support.needs import need
from support.project import HELPER
from support.waiting import eventually

SYNCED = """\
version = 1

[remotes.team]
url = "{url}"
{more}
[instances.sandbox]
mount.path = ".agentfs/mnt"
sync.remote = "team"
"""


class SyncServer:
    """`tursodb` with a database in the project's folder. It has no end of its own but being killed."""

    # Nobody asks for one, and so nothing says where it is.
    token, more = None, ""

    def __init__(self, project, name="remote"):
        self.program, self.project = need("tursodb"), project
        self.file = project.base / f"{name}.db"
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.child = self.project.start(self.program, self.file, "--sync-server", f"127.0.0.1:{self.port}", **quiet)
        eventually(self.answers, 20, what="the sync server")

    def answers(self):
        """Whatever it answers: a connection without a question would keep everybody else waiting."""
        assert self.child.poll() is None, f"the sync server ended with {self.child.returncode}"
        try:
            asked = urllib.request.Request(self.url, method="OPTIONS")
            return urllib.request.urlopen(asked, timeout=20).status == 204
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        self.child.kill()
        self.child.wait(10)

    def again(self):
        self.kill()
        self.start()


@contextmanager
def sync_server(project, name="remote"):
    server = SyncServer(project, name)
    try:
        yield server
    finally:
        server.kill()


class OwnRemote:
    """The same behind our proxy, which asks for a token."""

    def __init__(self, project):
        program = need("tursodb")
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        project.configure(f'version = 1\n\n[remotes.team.serve]\nport = {port}\nprogram = "{program}"\n')
        self.child = project.start(HELPER, "remote", "serve", "team", stderr=subprocess.DEVNULL)
        eventually(lambda: project.helper("remote", "ready", "team", check=False).returncode == 0, 20, what="the remote")
        file = project.root / ".agentfs/remotes/team/token"
        self.url, self.token, self.more = f"http://127.0.0.1:{port}", file.read_text().strip(), f'token_file = "{file}"\n'


@contextmanager
def own_remote(project):
    remote = OwnRemote(project)
    try:
        yield remote
    finally:
        assert project.stop(remote.child) == 0


class Network:
    """Stands before a server. `fates`: what becomes of the next connections, one by one; of those after them, nothing."""

    def __init__(self, server):
        self.server, self.fates, self.seen = server, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            fate = self.fates.pop(0) if self.fates else passed
            threading.Thread(target=self._meet, args=(peer, fate), daemon=True).start()

    def _meet(self, peer, fate):
        with closing(peer):
            peer.settimeout(60)
            try:
                fate(peer, self.server)
            except OSError:
                pass

    def heal(self):
        self.fates = []

    def close(self):
        self.listener.close()


@contextmanager
def network(server):
    between = Network(server)
    try:
        yield between
    finally:
        between.close()


def question(peer):
    """One request, head and body."""
    asked, whole = bytearray(), None
    while whole is None or len(asked) < whole:
        piece = peer.recv(1 << 20)
        if not piece:
            raise ConnectionError("half a request")
        asked += piece
        if whole is None and (end := asked.find(b"\r\n\r\n")) >= 0:
            length = [line for line in asked[:end].lower().split(b"\r\n") if line.startswith(b"content-length:")]
            whole = end + 4 + (int(length[0].split(b":")[1]) if length else 0)
    return bytes(asked)


def answer(asked, server):
    with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as way:
        way.sendall(asked)
        got = bytearray()
        while piece := way.recv(1 << 20):
            got += piece
        return bytes(got)


# Fates


def passed(peer, server):
    peer.sendall(answer(question(peer), server))


def dropped(peer, server):
    """Closed before anything is read."""


def refused_halfway(peer, server):
    """Closed while the request is on its way."""
    peer.recv(64)


def question_cut(peer, server):
    """The server gets half of what was asked."""
    asked = question(peer)
    with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as way:
        way.sendall(asked[: len(asked) // 2])


def answer_lost(peer, server):
    answer(question(peer), server)


def answer_cut(peer, server):
    got = answer(question(peer), server)
    peer.sendall(got[: len(got) * 2 // 3])


def late(by):
    def fate(peer, server):
        time.sleep(by)
        passed(peer, server)

    return fate


def says(head, body=b""):
    """`head`: the status line's end, and headers of their own lines."""

    def fate(peer, _):
        question(peer)
        length = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        peer.sendall(f"HTTP/1.1 {head}\r\n{length}".encode() + body)

    return fate


def server_killed(after):
    """As a machine that loses power, so long after it was asked; it is up again when the answer has not come."""

    def fate(peer, server):
        asked = question(peer)
        with closing(socket.create_connection(("127.0.0.1", server.port), 60)) as way:
            way.sendall(asked)
            time.sleep(after)
            server.kill()
        server.start()

    return fate
