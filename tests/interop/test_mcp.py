"""MCP with a real client: the official Python SDK, over standard input and over HTTP, in the handshake that every client
knows and in the one of the newest protocol."""

import asyncio
import json
import os
import signal
import subprocess
from contextlib import asynccontextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support import HELPER, eventually

pytest.importorskip("mcp", reason="mcp from PyPI is not installed (tests/setup)")
from mcp import Client, StdioServerParameters  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from mcp.shared._httpx_utils import create_mcp_http_client  # noqa: E402

CONFIG = """\
version = 1
[instances.sandbox]
mount.backend = "none"
http.port = 0
"""

UPSTREAM = {
    "read_file": ["path"],
    "write_file": ["path", "content"],
    "readdir": ["path"],
    "mkdir": ["path"],
    "remove": ["path"],
    "rename": ["from", "to"],
    "stat": ["path"],
    "access": ["path"],
    "kv_get": ["key"],
    "kv_set": ["key", "value"],
    "kv_delete": ["key"],
    "kv_list": [],
}


@pytest.fixture(params=["legacy", "auto"])
def mode(request):
    return request.param


@asynccontextmanager
async def by_stdio(project, mode):
    words = StdioServerParameters(command=str(HELPER), args=["mcp", "sandbox"], env=project.env, cwd=project.root)
    async with Client(words, mode=mode, read_timeout_seconds=30) as client:
        yield client


@asynccontextmanager
async def by_http(project, mode):
    exports = project.exports()
    token = project.root.joinpath(exports["AGENTFS_TOKEN_FILE"]).read_text().strip()
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http:
        url = project.helper("url", "sandbox").stdout.strip() + "/mcp"
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, read_timeout_seconds=30) as client:
            yield client


def text(result):
    assert not result.is_error, result
    return result.content[0].text


async def works_in(client):
    """What an agent does in a session; the SDK itself checks every answer against the tool's schema."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(UPSTREAM) <= set(tools) and {"find", "status", "diff"} <= set(tools)
    assert tools["status"].annotations.read_only_hint and tools["diff"].annotations.read_only_hint
    for name, required in UPSTREAM.items():
        assert tools[name].input_schema.get("required", []) == required, name
    assert tools["stat"].annotations.read_only_hint and tools["remove"].annotations.destructive_hint
    assert all(tool.title and tool.output_schema for tool in tools.values())

    written = {"path": "/src/main.py", "content": "print('hé')\n", "create_dirs": True}
    assert text(await client.call_tool("write_file", written)) == "Wrote 13 bytes to /src/main.py"
    assert text(await client.call_tool("read_file", {"path": "/src/main.py"})) == written["content"]
    found = await client.call_tool("find", {"glob": "*.py"})
    assert [one["name"] for one in found.structured_content["found"]] == ["src/main.py"]
    assert json.loads(text(await client.call_tool("stat", {"path": "/src"})))["is_directory"]
    changed = await client.call_tool("status", {"limit": 10})
    assert [(one["kind"], one["path"]) for one in changed.structured_content["changes"]] == [
        ("added", "src"),
        ("added", "src/main.py"),
    ]
    patch = await client.call_tool("diff", {"paths": ["src"]})
    assert text(patch).endswith("+++ b/src/main.py\n@@ -0,0 +1 @@\n+print('hé')\n")
    assert [one["added"] for one in patch.structured_content["files"]] == [None, 1]
    await client.call_tool("kv_set", {"key": "plan", "value": {"step": 3}})
    assert (await client.call_tool("kv_get", {"key": "plan"})).structured_content["value"] == {"step": 3}
    missing = await client.call_tool("read_file", {"path": "/none"})
    assert missing.is_error and "nixbox::file::missing" in missing.content[0].text

    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == ["agentfs:///{+path}"]
    resources = (await client.list_resources()).resources
    assert [(str(one.uri), one.size) for one in resources] == [("agentfs:///src/main.py", 13)]
    read = await client.read_resource("agentfs:///src/main.py")
    assert read.contents[0].text == written["content"]
    # Many at once, each with its own answer.
    many = [client.call_tool("kv_set", {"key": f"many/{n}", "value": n}) for n in range(40)]
    await asyncio.gather(*many)
    keys = (await client.call_tool("kv_list", {"prefix": "many/"})).structured_content["keys"]
    assert len(keys) == 40


def recorded(project):
    return [call["name"] for call in project.json("timeline", "--limit", "100", "--json")["calls"]]


def test_a_client_over_stdio_asks_the_owner_that_serves(project, mode):
    project.configure(CONFIG)
    owner = project.serve()

    async def session():
        async with by_stdio(project, mode) as client:
            await works_in(client)

    asyncio.run(session())
    assert project.helper("fs", "cat", "/src/main.py").stdout == "print('hé')\n"
    assert recorded(project).count("mcp.kv_set") == 41
    assert project.stop(owner) == 0


def test_a_client_over_stdio_needs_nobody_who_serves(project, mode):
    project.configure(CONFIG)
    project.helper("init", "sandbox")

    async def session():
        async with by_stdio(project, mode) as client:
            await works_in(client)
            # Verbs ask the session's owner meanwhile.
            beside = await asyncio.to_thread(project.helper, "fs", "cat", "/src/main.py")
            assert beside.stdout == "print('hé')\n"
            assert text(await client.call_tool("access", {"path": "/src"})) == '{"exists":true}'

    asyncio.run(session())
    assert project.journals() == []
    assert project.json("ps", "--json")["instances"][0]["state"] == "stopped"
    assert "mcp.find" in recorded(project)


def test_a_client_over_http_needs_the_token(project, mode):
    project.configure(CONFIG)
    owner = project.serve()

    async def session():
        async with by_http(project, mode) as client:
            await works_in(client)

    asyncio.run(session())
    assert recorded(project).count("mcp.kv_set") == 41

    async def stranger():
        url = project.helper("url", "sandbox").stdout.strip() + "/mcp"
        async with Client(streamable_http_client(url), mode=mode, read_timeout_seconds=30) as client:
            await client.list_tools()

    with pytest.raises(BaseException):
        asyncio.run(stranger())
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(project.helper("url", "sandbox").stdout.strip() + "/mcp", b"{}"))
    assert refused.value.code == 401
    assert project.stop(owner) == 0


def test_a_session_ends_by_term_and_with_its_owner(project):
    """Each leaves nothing behind; that it did not end by itself is said."""
    project.configure(CONFIG)
    project.helper("init", "sandbox")
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }

    def begun():
        pipe = subprocess.PIPE
        child = project.start(HELPER, "mcp", "sandbox", stdin=pipe, stdout=pipe, stderr=pipe)
        child.stdin.write(json.dumps(hello).encode() + b"\n")
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["id"] == 1
        return child

    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        child = begun()
        assert project.stop(child, sig) == 0
        assert (child.stdout.read(), child.stderr.read(), project.journals()) == (b"", b"", [])

    child = begun()
    project.helper("stop", "sandbox")
    assert child.wait(10) == 1 and b"nixbox::owner::gone" in child.stderr.read()
    assert project.journals() == []

    child = begun()
    child.kill()
    child.wait(10)
    eventually(lambda: project.json("ps", "--json")["instances"][0]["state"] == "stopped")
    assert project.journals() == []

    # What a shell pipes in is answered, to the last word.
    ping = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"})
    said = project.helper("mcp", input=f"{json.dumps(hello)}\n{ping}\n").stdout.splitlines()
    assert [json.loads(line)["id"] for line in said] == [1, 2]
    assert os.listdir(project.database().parent / "sandbox.d") == []


def test_what_keeps_a_session_from_beginning_is_said_on_stderr(project):
    project.configure(CONFIG)
    done = project.helper("mcp", "sandbox", check=False)
    assert (done.returncode, done.stdout) == (3, "") and "nixbox::database::missing" in done.stderr
    done = project.helper("mcp", "none", check=False)
    assert (done.returncode, done.stdout) == (3, "")
