"""Upstream copies each file that is opened in an overlay into the database, and calls it modified. (The engine's own
tests have reading, mapping and listing apart; P12, in test_overlay_reading.py, has a tree of many thousand.)"""

import hashlib

from support import need


def test_reading_a_tree_leaves_the_database_as_it_was(over):
    need("fuse")
    for number in range(200):
        folder = over.below / f"d{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_bytes(bytes([number]) * 5000)
    assert over.stop(over.serve()) == 0
    before = hashlib.sha256(over.database().read_bytes()).hexdigest()
    owner = over.serve()
    over.command("grep", "-rc", "nothing", ".", cwd=over.mount, check=False)
    over.command("tar", "cf", over.base / "tree.tar", ".", cwd=over.mount)
    # What was read is not frozen either.
    (over.below / "d1/f1").write_text("edited underneath")
    assert (over.mount / "d1/f1").read_text() == "edited underneath"
    assert over.stop(owner) == 0
    assert hashlib.sha256(over.database().read_bytes()).hexdigest() == before


def test_upstream_has_it(over, upstream):
    need("fuse")
    (over.below / "file").write_text("only read")
    upstream("init", "theirs", "--base", over.below)
    with upstream.mounted(over.database("theirs"), over.root / "theirs") as point:
        assert (point / "file").read_text() == "only read"
    assert "M f /file" in upstream("diff", over.database("theirs")).stdout
    upstream.forget_journals()
