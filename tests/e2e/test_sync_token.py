"""A token is a canary: whatever a sync does, and whatever its remote says back, it comes up nowhere."""

import re
from pathlib import Path

import pytest
from support import SYNCED, need, network, sync_server
from support.remote import dropped, passed, question

TOKEN = "eyJhbGciOiJFZERTQSJ9.canary-4f1d0c7a9b"
SOURCES = {
    "file": 'token_file = "token"',
    "command": 'token_command = ["cat", "token"]',
    "env": 'token_env = "TEAM_TOKEN"',
    "usual": "",
}


@pytest.fixture(params=SOURCES)
def synced(project, request):
    with sync_server(project) as server, network(server) as way:
        project.configure(SYNCED.format(url=way.url, more=SOURCES[request.param]))
        (project.root / "token").write_text(TOKEN + "\n")
        (project.root / "token").chmod(0o600)
        name = {"env": "TEAM_TOKEN", "usual": "TURSO_DB_AUTH_TOKEN"}.get(request.param)
        if name:
            project.env[name] = TOKEN
        yield project, way


def echoing(head, body):
    """A server that says back what it was sent."""

    def fate(peer, _):
        sent = re.search(rb"(?i)\r\nauthorization: bearer (\S+)", question(peer))[1].decode()
        assert sent == TOKEN
        text = body.format(token=sent).encode()
        lines = f"HTTP/1.1 {head.format(token=sent)}\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
        peer.sendall(lines.encode() + text)

    return fate


REFUSED = '{{"results":[{{"type":"error","error":{{"message":"no such token: {token}"}}}}]}}'
FAULTS = {
    "none": passed,
    "dropped": dropped,
    "401": echoing("401 Unauthorized", "not {token}"),
    "500": echoing("500 Oops", "{token} was too much"),
    "302": echoing("302 Found\r\nlocation: https://elsewhere.example/?token={token}", ""),
    "junk": echoing("200 OK", '{{"results":"{token}"}}'),
    "refused": echoing("200 OK", REFUSED),
}


def verbs(project):
    """All that there are, now and later; what ends the sync comes last."""
    said = project.helper("sync", "--help").stdout.partition("Commands:\n")[2].partition("\nOptions:")[0]
    found = re.findall(r"^  ([a-z]+) ", said, re.M)
    assert {"pull", "push", "status", "conflicts", "resolve"} <= set(found)
    return sorted(set(found) - {"help"}, key=lambda verb: (verb in ("enable", "disable"), verb))


WORDS = {"resolve": ["letter", "--theirs"], "enable": ["sandbox", "team"], "disable": ["sandbox"]}


def assert_unseen(project, *texts):
    for text in texts:
        assert TOKEN not in text, text
    for folder in (project.root, project.home, project.runtime):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path != project.root / "token":
                assert TOKEN.encode() not in path.read_bytes(), path


def ask(project, *words):
    done = project.helper(*words, "--log-level", "trace", check=False)
    assert_unseen(project, done.stdout, done.stderr)


def test_no_verb_and_no_failure_tells_the_token(synced):
    project, way = synced
    project.helper("init")
    project.helper("fs", "write", "letter", input="text")
    for verb in verbs(project):
        for name, fault in FAULTS.items():
            way.fates = [fault] * 8
            ask(project, "sync", verb, *WORDS.get(verb, []), *(["--json"] if name in ("500", "refused") else []))
            way.heal()
    for words in (["config", "show"], ["ps", "--json"], ["info", "--json"], ["doctor"], ["timeline", "--json"], ["env"]):
        ask(project, *words)


def test_an_owner_that_serves_has_it_in_no_log_and_no_environment(synced):
    need("fuse")
    project, way = synced
    log = open(project.base / "log", "w+", encoding="utf-8")
    owner = project.serve(stdout=log, stderr=log, env={**project.env, "NIXBOX_LOG": "trace"})
    (project.mount / "letter").write_text("text")
    for fault in FAULTS.values():
        way.fates = [fault] * 8
        ask(project, "sync", "push")
        way.heal()
    ask(project, "sync", "push")
    for part in ("cmdline", "environ"):
        assert TOKEN.encode() not in Path(f"/proc/{owner.pid}/{part}").read_bytes()
    # Nor has what it starts from there.
    assert project.stop(owner) == 0
    log.seek(0)
    assert_unseen(project, log.read())
    log.close()
