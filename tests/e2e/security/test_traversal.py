"""No verb leads out of an instance, whatever its paths and the links of its base say."""

import json
import os
import sys
import time

import pytest
from support import OVER, assert_same, need, seen

DIRECT = OVER.replace('base = "base"', 'base = "base"\nmode = "direct"')
CANARY = "what nobody in the instance may see"
# Ways to `secret`, which lies beside the base, and to the machine's own files.
OUT = [
    "../secret",
    "/../secret",
    "d/../../secret",
    "up/secret",
    "d/up/secret",
    "absolute/secret",
    "self/secret",
    "/proc/self/root{root}/secret",
    "{root}/secret",
    "file-link",
    "./././../base/../secret",
]


@pytest.fixture(params=["served", "unserved", "direct"])
def exposed(request, over):
    """A base full of links that lead out of it. With an owner and without, and written to itself."""
    need("fuse")
    if request.param == "direct":
        over.configure(DIRECT)
    (over.root / "secret").write_text(CANARY)
    (over.below / "d").mkdir()
    (over.below / "d/inside").write_text("inside")
    for path, target in {
        "up": "..",
        "d/up": "../..",
        "absolute": str(over.root),
        "self": f"/proc/self/root{over.root}",
        "file-link": str(over.root / "secret"),
        "loop": "loop",
        "dangling": "../made-by-a-verb",
    }.items():
        (over.below / path).symlink_to(target)
    over.helper("init")
    owner = None if request.param == "unserved" else over.serve()
    outside = seen(over.root / "base", times=True)
    yield over
    assert (over.root / "secret").read_text() == CANARY
    assert sorted(os.listdir(over.root)) == [".agentfs", "base", "nixbox.toml", "secret"]
    if request.param != "direct":
        assert_same(outside, seen(over.root / "base", times=True))
    if owner:
        assert over.stop(owner) == 0


@pytest.mark.parametrize("path", OUT)
def test_nothing_outside_is_read(exposed, path):
    path = path.format(root=exposed.root)
    for verb in (("cat",), ("ls",), ("stat",), ("find", "--min-size", "1"), ("tree",)):
        told = exposed.helper("fs", *verb, path, "--json", check=False) if verb[0] != "cat" else exposed.helper(
            "fs", "cat", path, check=False
        )
        assert CANARY not in told.stdout + told.stderr, (verb, told)
        for layer in ("delta", "base"):
            told = exposed.helper("fs", *verb, path, "--layer", layer, check=False)
            assert CANARY not in told.stdout + told.stderr, (verb, layer, told)
    # A name at the top is the instance's own, and it has none of that one.
    assert exposed.helper("fs", "cat", path, check=False).returncode in (2, 3)


@pytest.mark.parametrize("path", [*OUT, "dangling", "../made-by-a-verb", "up/made-by-a-verb"])
def test_nothing_outside_is_changed(exposed, path):
    """The fixture looks whether it was; inside, a path that climbs ends at the top."""
    path = path.format(root=exposed.root)
    for verb in (
        ("write", path),
        ("mkdir", "-p", f"{path}/new"),
        ("cp", "d/inside", path),
        ("mv", "d/inside", path),
        ("rm", "-r", path),
    ):
        done = exposed.helper("fs", *verb, input="changed", check=False)
        assert done.returncode in (0, 2, 3, 5), (verb, done)


@pytest.mark.parametrize("path", [*OUT, "dangling", "../made-by-a-verb", "up/made-by-a-verb"])
def test_nothing_outside_is_changed_as_one(exposed, path):
    path = path.format(root=exposed.root)
    for operation in (
        {"op": "write", "path": path, "text": "changed", "parents": True},
        {"op": "append", "path": path, "text": "changed"},
        {"op": "truncate", "path": path, "size": 0},
        {"op": "chmod", "path": path, "mode": "0777"},
        {"op": "cp", "from": path, "to": "/taken", "recursive": True},
        {"op": "link", "path": "/twin", "to": path},
        {"op": "mv", "from": "/d/inside", "to": path},
        {"op": "rm", "path": path, "recursive": True},
    ):
        done = exposed.helper("fs", "apply", input=json.dumps(operation), check=False)
        assert done.returncode in (0, 2, 3, 5), (operation, done)
        assert CANARY not in done.stdout + done.stderr
    for name in ("taken", "twin"):
        assert CANARY not in exposed.helper("fs", "cat", name, check=False).stdout


def test_what_is_taken_out_and_in_again_follows_no_link(exposed):
    for form in ("--tar", "--dir", "--db"):
        target = exposed.base / f"out{form}"
        exposed.helper("export", "sandbox", form, target)
        if form == "--dir":
            assert (target / "up").is_symlink() and (target / "file-link").is_symlink()
            found = [path.read_bytes() for path in target.rglob("*") if path.is_file() and not path.is_symlink()]
        else:
            found = [target.read_bytes()]
        assert not any(CANARY.encode() in content for content in found), form
    exposed.helper("import", "sandbox", exposed.base / "out--dir", "--into", "/again")
    told = exposed.json("fs", "stat", "/again/file-link", "--json")
    assert told["kind"] == "link"
    assert exposed.helper("fs", "cat", "/again/file-link", check=False).returncode == 3
    # Through a link that leads out nothing is planted, wherever it is to go.
    for into in ("/up/planted", "/absolute", "/self/planted", "/../../planted"):
        done = exposed.helper("import", "sandbox", exposed.base / "out--dir", "--into", into, check=False)
        assert done.returncode in (0, 2, 3, 5), (into, done)


@pytest.mark.parametrize("path", ["..", "/", "/..", ".", "d/../.."])
def test_the_root_itself_stays(exposed, path):
    for verb in (("rm", "-r", path), ("mv", path, "elsewhere"), ("write", path), ("cp", "d/inside", f"{path}/d")):
        exposed.helper("fs", *verb, input="", check=False)
    assert exposed.helper("fs", "cat", "d/inside").stdout == "inside"


def test_a_copy_takes_the_link_and_not_what_it_leads_to(exposed):
    exposed.helper("fs", "cp", "-r", "/d", "/copy")
    told = exposed.json("fs", "ls", "-R", "/copy", "--json")
    assert CANARY not in json.dumps(told)
    (up,) = [entry for entry in told["entries"] if entry["path"].endswith("up")]
    assert up["target"] == "../.."


SWAP = """
import os, sys
base, out = sys.argv[1:]
while True:
    os.rename(f"{base}/d", f"{base}/away")
    os.symlink(out, f"{base}/d")
    os.unlink(f"{base}/d")
    os.rename(f"{base}/away", f"{base}/d")
"""


@pytest.mark.parametrize("config", [OVER, DIRECT], ids=["overlay", "direct"])
def test_a_folder_that_turns_into_a_link_meanwhile(over, config):
    """The engine opens what is below the base, never by path: there is no moment in which a link is followed."""
    over.configure(config)
    outside = over.root / "outside"
    outside.mkdir()
    (outside / "file").write_text(CANARY)
    (over.below / "d").mkdir()
    (over.below / "d/file").write_text("inside")
    over.helper("init")
    swapping = over.start(sys.executable, "-S", "-c", SWAP, over.below, outside)
    found = turns = 0
    try:
        until = time.monotonic() + 20
        # On a busy machine the folder may be away for most of the time.
        while turns < 40 or (not found and time.monotonic() < until):
            turns += 1
            told = over.helper("fs", "cat", "d/file", check=False)
            assert CANARY not in told.stdout
            found += told.stdout == "inside"
            over.helper("fs", "write", "-a", "d/file", input="x", check=False) if found == 3 else None
    finally:
        swapping.kill()
        swapping.wait(5)
    assert (outside / "file").read_text() == CANARY
    # It was looked for at the right place.
    assert found
