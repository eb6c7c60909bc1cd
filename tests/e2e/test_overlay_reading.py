"""P12: reading a whole tree through an overlay, in every way, changes nothing at all."""

import hashlib
import mmap
import os
import sqlite3
from contextlib import closing

import pytest
from support import need, scaled

FILES = scaled(2000, 20_000)


@pytest.mark.timeout(scaled(180, 1800))
def test_reading_mapping_and_listing_a_tree(over):
    need("fuse")
    for number in range(FILES):
        folder = over.below / f"d{number % 40}" / f"e{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(b"%d\n" % number * (number % 800))
    os.symlink("d1/e1", over.below / "link")
    assert over.stop(over.serve()) == 0
    before = digest(over.database())
    owner = over.serve()
    read = mapped = 0
    for folder, folders, names in os.walk(over.mount):
        for name in folders:
            os.stat(os.path.join(folder, name))
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                content = file.read()
                assert len(content) == size
                read += 1
                if size and read % 3 == 0:
                    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                        assert view[:] == content
                    mapped += 1
    assert read == FILES and mapped > FILES / 4
    # The whole of it by programs that other programs call.
    over.command("sh", "-euc", "cat d1/*/* >/dev/null; ls -lR . >/dev/null; du -s . >/dev/null", cwd=over.mount)
    assert over.stop(owner) == 0
    assert digest(over.database()) == before
    with closing(sqlite3.connect(over.database())) as database:
        assert database.execute("SELECT count(*) FROM fs_inode").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM fs_whiteout").fetchone() == (0,)


def test_looking_at_what_has_changed_writes_nothing(over):
    """`status` and `diff` look at an instance; what is put on record is what is done in it."""
    need("fuse")
    for number in range(200):
        (over.below / f"f{number}").write_text(f"{number}\n" * 50)
    over.helper("init")
    for change in (False, True):
        if change:
            over.helper("fs", "write", "f1", input="mine\n")
            over.helper("fs", "rm", "f2")
        for served in (False, True):
            before = digest(over.database())
            owner = over.serve() if served else None
            for words in (("status",), ("status", "--json"), ("diff",), ("diff", "--stat"), ("diff", "f1")):
                over.helper(*words)
            if served:
                (over.mount / "f3").read_bytes()
                over.helper("status", "--porcelain")
                assert over.stop(owner) == 0
            assert digest(over.database()) == before, (change, served)
        calls = over.json("timeline", "--json")["calls"]
        assert not {"status", "diff"} & {call["name"] for call in calls}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
