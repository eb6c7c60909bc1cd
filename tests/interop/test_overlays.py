"""P9 for overlays: upstream's `diff` and mount read one of ours as we see it, and we one of theirs."""

import json
import os

import pytest
from support import assert_same, findings, need, seen


@pytest.fixture
def tree(over):
    need("fuse")
    for path in ("keep", "edit", "drop", "d/keep", "d/edit", "d/drop", "gone/a", "gone/b/c", "again/old", "again/deep/old"):
        (over.below / path).parent.mkdir(parents=True, exist_ok=True)
        (over.below / path).write_text(f"{path} of the base\n")
    (over.below / "link").symlink_to("keep")
    (over.below / "keep").chmod(0o640)
    return over


def work(root):
    """Of everything that an overlay has to remember something."""
    (root / "edit").write_text("edited\n")
    with (root / "d/edit").open("a") as file:
        file.write("and more\n")
    (root / "drop").unlink()
    (root / "d/drop").unlink()
    (root / "gone/b/c").unlink()
    (root / "gone/b").rmdir()
    (root / "gone/a").unlink()
    (root / "gone").rmdir()
    (root / "new").mkdir()
    (root / "new/file").write_bytes(bytes(range(256)) * 500)


def replace_folders(root):
    """What upstream's own mount does not do right, and understands when it is done."""
    for path in ("again/deep/old", "again/old"):
        (root / path).unlink()
    (root / "again/deep").rmdir()
    (root / "again").rmdir()
    (root / "again").mkdir()
    (root / "again/young").write_text("young\n")
    (root / "again/deep").mkdir()
    (root / "again/deep/young").write_text("young\n")
    (root / "again/old").write_text("another\n")
    (root / "moved").mkdir()
    (root / "d").rename(root / "moved/d")
    (root / "link").unlink()
    os.symlink("new/file", root / "link")


def test_upstream_sees_in_ours_what_we_see(tree, upstream):
    owner = tree.serve()
    work(tree.mount)
    replace_folders(tree.mount)
    ours = seen(tree.mount)
    assert tree.stop(owner) == 0
    assert findings(tree.database()) == []
    told = upstream("diff", tree.database()).stdout.splitlines()
    assert {"M f /edit", "D f /drop", "A f /new/file", "A f /moved/d/edit", "A f /again/young"} <= set(told), told
    with upstream.mounted(tree.database(), tree.root / "theirs") as point:
        assert_same(ours, seen(point))
    upstream.forget_journals()
    # Upstream wrote nothing that changes what is seen, and repaired nothing away.
    owner = tree.serve()
    assert_same(ours, seen(tree.mount))
    assert tree.stop(owner) == 0


def test_we_see_in_theirs_what_upstream_sees(tree, upstream):
    upstream("init", "sandbox", "--base", tree.below)
    with upstream.mounted(tree.database(), tree.root / "theirs") as point:
        work(point)
        theirs = seen(point)
    upstream.forget_journals()
    owner = tree.serve()
    assert_same(theirs, seen(tree.mount))
    assert tree.stop(owner) == 0


def test_both_write_in_turn(tree, upstream):
    point = tree.root / "theirs"
    tree.helper("init")
    for turn in range(3):
        owner = tree.serve()
        if turn == 0:
            work(tree.mount)
        if turn == 1:
            replace_folders(tree.mount)
        (tree.mount / f"ours{turn}").write_text(str(turn))
        ours = seen(tree.mount)
        assert tree.stop(owner) == 0
        with upstream.mounted(tree.database(), point):
            assert_same(ours, seen(point))
            (point / f"theirs{turn}").write_text(str(turn))
            (point / f"ours{turn}").write_text("changed by upstream")
            (point / "new/file").unlink(missing_ok=True)
            theirs = seen(point)
        upstream.forget_journals()
        owner = tree.serve()
        assert_same(theirs, seen(tree.mount))
        assert tree.stop(owner) == 0
    assert findings(tree.database()) == []
    before = seen(tree.below)
    assert b"drop" in before and b"gone/b/c" in before


def test_values_and_tool_calls_of_an_overlay(tree, upstream):
    tree.helper("init")
    tree.helper("kv", "set", "plan", '{"step": 3}')
    tree.helper("tool", "record", "grep", "--duration-ms", "5")
    told = upstream("timeline", tree.database(), "--format", "json").stdout
    assert '"grep"' in told
    upstream.forget_journals()
    assert json.loads(tree.helper("kv", "get", "plan").stdout) == {"step": 3}
