"""SQLite inside the mount, in WAL mode: shared memory, byte-range locks and fsync, all at once."""

import sqlite3
import sys

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
for n in range(50):
    with db:
        db.execute("INSERT INTO t VALUES (?, ?)", (sys.argv[2], n))
"""


def test_three_writers_in_wal_mode(mounted):
    path = mounted.mount / "inner.db"
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    db.execute("CREATE TABLE t (who TEXT, n INTEGER)")
    db.commit()
    writers = [mounted.start(sys.executable, "-c", WRITER, str(path), str(who)) for who in range(3)]
    assert [writer.wait(120) for writer in writers] == [0] * 3
    assert db.execute("SELECT count(*), count(DISTINCT who || ' ' || n) FROM t").fetchone() == (150, 150)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
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
