"""Upstream's sync clients of npm and PyPI on a remote that we have pushed to: they read the same files, and what they write
is merged like any change. Their SDK reads what we pulled."""

import os

import pytest
from sdks import Sdk
from support import SYNCED, own_remote, sync_server
from sync_clients import sync_client


@pytest.fixture(params=[sync_server, own_remote], ids=["bare", "behind-the-proxy"])
def server(request, make_project):
    with request.param(make_project(None)) as one:
        yield one


@pytest.fixture
def here(make_project, server):
    project = make_project(SYNCED.format(url=server.url, more=server.more))
    project.helper("init")
    return project


def write(project, path, content):
    project.helper("fs", "write", path, input=content, text=False)


@pytest.mark.parametrize("name", ["npm", "pypi"])
def test_a_client_of_theirs(here, server, name):
    files = {"a": os.urandom(100_000), "folder/b": b"b" * 4096, "folder/empty": b"", "ä name": b"x"}
    here.helper("fs", "mkdir", "folder")
    for path, content in files.items():
        write(here, path, content)
    here.helper("sync", "push")
    with sync_client(name, here.base / "theirs.db", server) as client:
        assert client.tree() == files
        # Each goes on with what the other has done.
        files["theirs"] = os.urandom(9000)
        client.write("theirs", files["theirs"])
        client.call("push")
        here.helper("sync", "pull")
        assert here.helper("fs", "cat", "theirs", text=False).stdout == files["theirs"]
        files |= {"a": b"shorter", "ours": os.urandom(5000)}
        write(here, "a", files["a"])
        write(here, "ours", files["ours"])
        here.helper("fs", "rm", "folder/b")
        del files["folder/b"]
        here.helper("sync", "push")
        client.call("pull")
        assert client.tree() == files
        # Between a pull and a push of ours.
        client.write("between", b"theirs")
        client.call("push")
        write(here, "meanwhile", b"ours")
        here.helper("sync", "push")
        client.call("pull")
        assert client.tree() == {**files, "between": b"theirs", "meanwhile": b"ours"}
        assert here.helper("fs", "cat", "between").stdout == "theirs"
        # A file that only we have changed and one that only they have: never the one for the other.
        assert here.json("sync", "status", "--json")["to_push"] == []


@pytest.mark.parametrize("name", ["npm", "pypi"])
def test_their_sdk_reads_what_was_pulled(make_project, here, server, name):
    there = make_project(SYNCED.format(url=server.url, more=server.more))
    there.helper("init")
    large = os.urandom(300_000)
    write(there, "large", large)
    there.helper("kv", "set", "plan", '{"step":3}')
    there.helper("sync", "push")
    here.helper("sync", "pull")
    sdk = Sdk(name, here.database())
    assert sdk.read("/large") == [large]
    assert sdk.call("get", "plan") == {"step": 3}
    # And what it writes goes on.
    sdk.write({"/from-the-sdk": b"sdk"})
    here.helper("sync", "push")
    there.helper("sync", "pull")
    assert there.helper("fs", "cat", "from-the-sdk").stdout == "sdk"
