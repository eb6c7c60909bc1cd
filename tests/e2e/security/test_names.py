"""Names are bytes that somebody else chose: they move no cursor, break no JSON, and have limits that are told."""

import json
import os
import pty
import re

import pytest
from support import need

NASTY = ["new\nline", "esc\x1b[31mred\x1b]0;title\x07", "\u009b31m", "tab\t", "back\b\b\b", "\r", "-rf", "--json", " ", "a\\b"]
LONGEST = "n" * 255


@pytest.fixture
def named(over):
    need("fuse")
    for name in NASTY:
        (over.below / name).write_text(name)
    (over.below / "link").symlink_to("to\x1b[2J")
    over.helper("init")
    return over


def on_a_terminal(project, *args):
    """What the terminal gets."""
    ours, theirs = pty.openpty()
    child = project.start(project.env["PATH"].split(":")[0] + "/nixbox-helper", *args, stdout=theirs, stderr=theirs)
    os.close(theirs)
    got = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        got += piece
    os.close(ours)
    assert child.wait(20) == 0, got
    return got.decode()


def assert_harmless(text):
    # Colours of our own are the only escapes; a terminal's line ends are both.
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    assert not [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160], repr(text)
    assert "title" not in text or "\x07" not in text


def test_a_listing_moves_no_cursor(named):
    for verb in (("fs", "ls", "/"), ("fs", "tree"), ("fs", "stat", "/link"), ("fs", "ls", "-R", "/")):
        text = on_a_terminal(named, *verb)
        assert_harmless(text)
        assert "red" in text or "stat" in verb
        # A newline in a name makes no second entry.
        assert "\nline" not in text


def test_keys_tools_and_their_words_move_no_cursor(project):
    nasty = "x\x1b]0;title\x07\x1b[2Jy"
    project.helper("init")
    project.helper("kv", "set", nasty, "--string", nasty)
    project.helper("tool", "record", nasty, "--error", nasty)
    for verb in (("timeline",), ("kv", "list")):
        assert_harmless(on_a_terminal(project, *verb))
    # For a program every byte is there.
    (entry,) = project.json("kv", "list", "--json")["entries"]
    assert (entry["key"], entry["value"]) == (nasty, nasty)
    (call,) = project.json("timeline", "--json")["calls"]
    assert call["name"] == nasty


def test_json_holds_every_name(named):
    told = named.json("fs", "ls", "/", "--json")["entries"]
    assert {entry["path"].removeprefix("/") for entry in told} == {*NASTY, "link"}
    for name in NASTY:
        assert named.helper("fs", "cat", f"/{name}").stdout == name.replace("\r", "\n")


def test_names_that_are_no_text(over):
    raw = os.fsencode(over.below) + b"/\xff\xfe"
    with open(raw, "wb") as file:
        file.write(b"raw")
    over.helper("init")
    told = over.helper("fs", "ls", "/", "--json")
    assert len(json.loads(told.stdout)["entries"]) == 1
    done = over.command(over.env["PATH"].split(":")[0] + "/nixbox-helper", "fs", "cat", os.fsdecode(b"/\xff\xfe"))
    assert done.stdout == "raw"
    refused = over.helper("fs", "write", os.fsdecode(b"/\xfd"), input="x", check=False)
    assert refused.returncode == 2 and "[nixbox::file::name]" in refused.stderr, refused


def test_the_limits_are_told(project):
    project.helper("init")
    project.helper("fs", "write", f"/{LONGEST}", input="longest")
    assert project.helper("fs", "cat", f"/{LONGEST}").stdout == "longest"
    refused = project.helper("fs", "write", f"/{LONGEST}n", input="", check=False)
    assert refused.returncode == 2 and "[nixbox::file::name]" in refused.stderr, refused.stderr
    # As a path is followed step by step, only the names in it are limited.
    deep = "/".join(["d" * 100] * 60)
    project.helper("fs", "mkdir", "-p", deep)
    project.helper("fs", "write", f"{deep}/file", input="deep")
    assert project.helper("fs", "cat", f"{deep}/file").stdout == "deep"
    for empty in ("", "a//b/../../.."):
        done = project.helper("fs", "write", empty, input="", check=False)
        assert done.returncode in (2, 3), done
    for verb in ("cat", "rm", "stat", "mkdir"):
        done = project.helper("fs", verb, "", check=False)
        assert done.returncode in (2, 3) and "help:" in done.stderr, done
