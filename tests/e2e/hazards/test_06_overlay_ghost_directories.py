"""Upstream gives inode numbers out again, and its overlay then finds in a new folder what another file left there."""

import os
import sqlite3

from support import need

# A file goes, and a folder that gets its number has a folder in it.
GHOST = "echo x >x; rm x; mkdir g; mkdir g/.git"


def ghosts(root):
    """Whatever is there but what the script made."""
    return sorted(path for path in walk(root) if path not in ("g", "g/.git"))


def walk(root):
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            yield os.path.relpath(os.path.join(folder, name), root)


def test_no_ghost_is_seen_nor_stored(over):
    need("fuse")
    owner = over.serve()
    over.command("sh", "-euc", GHOST, cwd=over.mount)
    assert ghosts(over.mount) == []
    # `x` is where upstream shows the ghost.
    for round in range(20):
        (over.mount / "x").mkdir()
        assert os.listdir(over.mount / "x") == [], round
        (over.mount / "x").rmdir()
        (over.mount / "x").write_text("x")
        (over.mount / "x").unlink()
    over.command("git", "init", "-q", "repo", cwd=over.mount)
    over.command("git", "fsck", cwd=over.mount / "repo")
    assert over.stop(owner) == 0
    owner = over.serve()
    assert [path for path in ghosts(over.mount) if not path.startswith("repo")] == []
    assert over.stop(owner) == 0


def test_a_number_is_never_given_out_twice(over):
    need("fuse")
    seen = set()
    for _ in range(2):
        owner = over.serve()
        for turn in range(50):
            path = over.mount / f"f{turn % 3}"
            path.touch()
            number = path.stat().st_ino
            assert number not in seen
            seen.add(number)
            path.unlink()
        assert over.stop(owner) == 0
    database = sqlite3.connect(over.database())
    (made,) = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'fs_inode'").fetchone()
    database.close()
    assert "AUTOINCREMENT" in made


def test_upstream_has_it_and_not_with_a_database_of_ours(over, upstream):
    need("fuse")
    upstream("init", "theirs", "--base", over.below)
    point = over.root / "theirs"
    with upstream.mounted(over.database("theirs"), point):
        over.command("sh", "-euc", GHOST, cwd=point)
        found = ghosts(point)
    assert found, "upstream has mended it: say so in the documentation"
    over.helper("init")
    with upstream.mounted(over.database(), point):
        over.command("sh", "-euc", GHOST, cwd=point)
        assert ghosts(point) == []
    upstream.forget_journals()
