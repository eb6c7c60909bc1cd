"""SQLite inside the mount: shared memory, byte-range locks and fsync, all at once."""

import sqlite3
import sys

import pytest

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
for n in range(50):
    with db:
        db.execute("INSERT INTO t VALUES (?, ?)", (sys.argv[2], n))
"""


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
def test_three_writers(mounted, mode):
    def fill(folder):
        made = sqlite3.connect(folder / "inner.db")
        made.execute("CREATE TABLE t (who TEXT, n INTEGER)")
        made.executemany("INSERT INTO t VALUES ('first', ?)", ((n,) for n in range(3000)))
        made.commit()
        made.close()

    mounted.stock(fill)
    path = mounted.mount / "inner.db"
    db = sqlite3.connect(path, timeout=60)
    assert db.execute(f"PRAGMA journal_mode = {mode}").fetchone() == (mode,)
    writers = [mounted.start(sys.executable, "-c", WRITER, str(path), str(who)) for who in range(3)]
    assert [writer.wait(120) for writer in writers] == [0] * 3
    counts = "SELECT count(*), count(DISTINCT who || ' ' || n) FROM t"
    assert db.execute(counts).fetchone() == (3150, 3150)
    db.execute("VACUUM")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    db = sqlite3.connect(path)
    assert db.execute(counts).fetchone() == (3150, 3150)
    db.close()


def test_a_rolled_back_transaction_leaves_nothing(mounted):
    db = sqlite3.connect(mounted.mount / "inner.db")
    db.execute("CREATE TABLE t (n INTEGER)")
    db.commit()
    db.executemany("INSERT INTO t VALUES (?)", ((n,) for n in range(10_000)))
    db.rollback()
    assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
    db.close()
    assert not (mounted.mount / "inner.db-journal").exists()
