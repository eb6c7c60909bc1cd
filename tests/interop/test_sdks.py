"""P9: a database is read and written by upstream's SDKs and by ours in turn, byte for byte."""

import json
import os
import sqlite3
import stat
import time
from datetime import datetime

import pytest
from support import HELPER

CHUNKS = (4096, 16384, 65536)
SIZES = sorted({0, 1, 100, 300_001, *(chunk + more for chunk in CHUNKS for more in (-1, 0, 1))})


def content(size, seed=1):
    return bytes((i * 31 + (i >> 8) * 7 + seed) & 0xFF for i in range(size))


def test_what_is_written_through_the_mount_is_read_by_the_sdk(mounted, sdk):
    expected = {f"/sizes/{size}": content(size) for size in SIZES}
    with mounted() as root:
        (root / "sizes").mkdir(mode=0o750)
        for path, data in expected.items():
            (root / path[1:]).write_bytes(data)
        (root / "sizes/1").chmod(0o751)
        os.link(root / "sizes/100", root / "sizes/linked")
        (root / "déjà vu/深い").mkdir(parents=True)
        (root / "déjà vu/深い" / ("n" * 255)).write_bytes(b"deep")
    assert sdk.read(*expected) == list(expected.values())
    assert sdk.read("/sizes/linked", f"/déjà vu/深い/{'n' * 255}") == [content(100), b"deep"]
    one, linked, folder, names = sdk.calls(
        ["stat", "/sizes/1"], ["stat", "/sizes/linked"], ["stat", "/sizes"], ["list", "/"]
    )
    assert (one["mode"], one["size"], one["nlink"]) == (stat.S_IFREG | 0o751, 1, 1)
    assert (linked["size"], linked["nlink"]) == (100, 2)
    assert folder["mode"] == stat.S_IFDIR | 0o750
    assert names == ["déjà vu", "sizes"]


def test_holes_and_cut_files_are_read_by_the_sdk(mounted, sdk):
    """Both SDKs join the chunks that they find, so a hole must be there in full."""
    with mounted() as root:
        with open(root / "sparse", "wb") as file:
            file.write(b"head")
            file.seek(40_000)
            file.write(b"tail")
        with open(root / "wide", "wb") as file:
            file.seek(9_000_001)
            file.write(b"tail")
        (root / "cut").write_bytes(content(50_000))
        os.truncate(root / "cut", 20_001)
        (root / "regrown").write_bytes(content(50_000))
        os.truncate(root / "regrown", 3)
        os.truncate(root / "regrown", 70_000)
        (root / "empty").touch()
        os.truncate(root / "empty", 5_000_000)
        with open(root / "appended", "ab") as file:
            for piece in range(3000):
                file.write(b"%7d\n" % piece)
                if piece % 100 == 0:
                    file.flush()
    sparse, wide, cut, regrown, empty, appended = sdk.read(
        "/sparse", "/wide", "/cut", "/regrown", "/empty", "/appended"
    )
    assert sparse == b"head" + bytes(39_996) + b"tail"
    assert wide == bytes(9_000_001) + b"tail"
    assert cut == content(50_000)[:20_001]
    assert regrown == content(3) + bytes(69_997)
    assert empty == bytes(5_000_000)
    assert appended == b"".join(b"%7d\n" % piece for piece in range(3000))


def test_what_the_sdk_writes_is_read_through_the_mount(mounted, sdk):
    with mounted() as root:
        (root / "ours").write_bytes(content(40_000))
        (root / "shrunk").write_bytes(content(40_000))
        (root / "gone").write_bytes(b"x")
        (root / "gone too").mkdir()
    expected = {f"/theirs/{size}": content(size, 2) for size in SIZES}
    sdk.write({**expected, "/ours": content(90_000, 3), "/shrunk": b"less", "/déjà/vu": b"unicode"})
    sdk.calls(
        ["unlink", "/gone"],
        ["rmdir", "/gone too"],
        ["mkdir", "/folder"],
        ["mkdir", "/folder/below"],
        ["rename", "/theirs/1", "/folder/moved"],
    )
    with mounted() as root:
        expected["/folder/moved"] = expected.pop("/theirs/1")
        for path, data in expected.items():
            assert (root / path[1:]).read_bytes() == data, path
        assert (root / "ours").read_bytes() == content(90_000, 3)
        assert (root / "shrunk").read_bytes() == b"less"
        assert (root / "déjà/vu").read_bytes() == b"unicode"
        assert sorted(os.listdir(root)) == ["déjà", "folder", "ours", "shrunk", "theirs"]
        # The SDKs do not count a folder's folders.
        assert [(root / path).stat().st_nlink for path in (".", "folder", "folder/below")] == [5, 3, 2]
        # And on from there.
        with open(root / "theirs/100", "ab") as file:
            file.write(b"more")
        (root / "folder/moved").rename(root / "back")
        os.rmdir(root / "folder/below")
    assert sdk.read("/theirs/100", "/back") == [content(100, 2) + b"more", content(1, 2)]
    assert sdk.call("list", "/folder") == []


def test_a_database_that_the_sdk_made_can_be_served(mounted, sdk, project):
    project.database().parent.mkdir()
    sdk.write({"/a/b/c": b"theirs", "/plain": content(10_000)})
    with mounted() as root:
        assert (root / "a/b/c").read_bytes() == b"theirs"
        assert (root / "plain").read_bytes() == content(10_000)
        assert (root / "a").stat().st_nlink == 3
        (root / "a/b/d").write_bytes(content(30_000))
    assert sdk.read("/a/b/d", "/plain") == [content(30_000), content(10_000)]
    with sqlite3.connect(project.database()) as db:
        assert db.execute("SELECT value FROM fs_config WHERE key = 'chunk_size'").fetchone() == ("4096",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_values_and_tool_calls_outlive_a_mount(mounted, sdk):
    with mounted():
        pass
    sdk.calls(["set", "who", {"name": "agent", "n": [1, 2]}], ["record", "grep", {"found": 3}])
    with mounted() as root:
        (root / "file").write_bytes(b"between")
    assert sdk.calls(["get", "who"], ["recorded", "grep"], ["list", "/"]) == [
        {"name": "agent", "n": [1, 2]},
        [{"found": 3}],
        ["file"],
    ]


def test_values_set_by_either_are_got_by_the_other(project, sdk):
    project.helper("init")
    value = {"name": "agent", "n": [1, 2.5, None], "text": "déjà \"vu\""}
    project.helper("kv", "set", "ours", json.dumps(value))
    project.helper("kv", "set", "text", "--string", "plain")
    assert sdk.calls(["get", "ours"], ["get", "text"], ["get", "none"]) == [value, "plain", None]
    sdk.calls(["set", "theirs", value], ["set", "ours", 7])
    assert json.loads(project.helper("kv", "get", "theirs").stdout) == value
    assert project.helper("kv", "get", "ours").stdout == "7\n"
    listed = json.loads(project.helper("kv", "list", "--json").stdout)["entries"]
    assert [(entry["key"], entry["value"]) for entry in listed] == [("ours", 7), ("text", "plain"), ("theirs", value)]
    assert all(entry["created_at"] and entry["updated_at"] for entry in listed)


def test_tool_calls_of_either_are_seen_by_the_other(project, sdk):
    project.helper("init")
    project.helper("tool", "record", "grep", "--params", '{"n": 1}', "--result", '{"found": 3}', "--duration-ms", "12")
    project.helper("tool", "record", "grep", "--error", "no such file")
    project.helper("tool", "start", "build")
    ours, failed = sorted(sdk.call("calls", "grep"), key=lambda call: call["id"])
    assert (ours["parameters"], ours["result"], ours["status"]) == ({"n": 1}, {"found": 3}, "success")
    assert ours["duration_ms"] == 12
    assert (failed["status"], failed["error"], failed["result"]) == ("error", "no such file", None)
    assert [call["status"] for call in sdk.call("calls", "build")] == ["pending"]
    begun = time.time() - 5
    sdk.call("record", "theirs", {"found": 4})
    sdk.call("record_at", "fraction", begun, begun + 0.25)
    calls = json.loads(project.helper("timeline", "--json").stdout)["calls"]
    named = {call["name"]: call for call in calls}
    assert (named["theirs"]["result"], named["theirs"]["started_at"]) == ({"found": 4}, "1970-01-01T00:00:01Z")
    shown = datetime.fromisoformat(named["fraction"]["started_at"]).timestamp()
    assert abs(shown - begun) < 1.0
    # Sorted by when they started, fractions or not.
    assert [call["name"] for call in calls].index("fraction") > [call["name"] for call in calls].index("build")


def test_holes_and_links_of_npm_are_read_through_the_mount(mounted, sdk):
    if sdk.name != "npm":
        pytest.skip("optional: only the npm SDK has these calls")
    with mounted() as root:
        (root / "short").write_bytes(b"short")
        (root / "cut").write_bytes(content(40_000))
    sdk.calls(
        ["truncate", "/short", 40_000],
        ["truncate", "/cut", 20_000],
        ["write", "/far", ""],
        ["pwrite", "/far", 50_000, "dGFpbA=="],
        ["symlink", "/link", "cut"],
    )
    with mounted() as root:
        assert (root / "short").read_bytes() == b"short" + bytes(39_995)
        assert (root / "cut").read_bytes() == content(20_000)
        assert (root / "far").read_bytes() == bytes(50_000) + b"tail"
        assert os.readlink(root / "link") == "cut"
        os.symlink("short", root / "ours")
    assert sdk.call("readlink", "/ours") == "short"


def test_only_one_may_have_it_open(mounted, sdk, project):
    with mounted() as root:
        (root / "file").write_bytes(b"ours")
        refused = sdk.run(["read", "/file"])
        assert refused.returncode != 0 and "lock" in refused.stderr.lower(), refused.stderr
        assert (root / "file").read_bytes() == b"ours"
    holder = sdk.hold()
    try:
        refused = project.command(HELPER, "serve", "sandbox", check=False, timeout=20)
        assert refused.returncode == 4, refused.stderr
        assert "nixbox::database::busy" in refused.stderr and str(holder.pid) in refused.stderr
    finally:
        holder.kill()
        holder.wait()
        holder.stderr.close()
    with mounted() as root:
        assert (root / "file").read_bytes() == b"ours"
