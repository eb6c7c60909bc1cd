"""Whether a database is what the format says, asked of SQLite itself: no owner's word is taken for it."""

import sqlite3
from contextlib import closing

FINDINGS = {
    "an entry without an inode": "SELECT name FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM fs_inode)",
    "an entry in no folder": """
        SELECT name FROM fs_dentry LEFT JOIN fs_inode parent ON parent.ino = parent_ino
        WHERE parent.ino IS NULL OR parent.mode & 0xF000 != 0x4000""",
    "an inode without a name": "SELECT ino FROM fs_inode WHERE ino != 1 AND ino NOT IN (SELECT ino FROM fs_dentry)",
    "a folder with two names": """
        SELECT name FROM fs_dentry JOIN fs_inode USING (ino) WHERE mode & 0xF000 = 0x4000
        GROUP BY ino HAVING count(*) > 1""",
    "links that are not its names": """
        SELECT ino, nlink FROM fs_inode WHERE mode & 0xF000 != 0x4000
        AND nlink != (SELECT count(*) FROM fs_dentry WHERE fs_dentry.ino = fs_inode.ino)""",
    "content of nothing": "SELECT ino FROM fs_data WHERE ino NOT IN (SELECT ino FROM fs_inode)",
    "content behind the end": """
        SELECT ino, chunk_index FROM fs_data JOIN fs_inode USING (ino)
        WHERE chunk_index * (SELECT value FROM fs_config WHERE key = 'chunk_size') + length(data) > size""",
    "a chunk that is too long": """
        SELECT ino FROM fs_data
        WHERE length(data) > (SELECT CAST(value AS INTEGER) FROM fs_config WHERE key = 'chunk_size')""",
    "a link that leads nowhere": """
        SELECT ino FROM fs_inode WHERE mode & 0xF000 = 0xA000 AND ino NOT IN (SELECT ino FROM fs_symlink)""",
    "a target of no link": """
        SELECT ino FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM fs_inode WHERE mode & 0xF000 = 0xA000)""",
}
# Only in an overlay.
PATHS = """
    WITH RECURSIVE paths(ino, path) AS (
        SELECT 1, '' UNION ALL
        SELECT fs_dentry.ino, paths.path || '/' || name FROM fs_dentry JOIN paths ON parent_ino = paths.ino)
    SELECT path FROM paths WHERE path IN (SELECT path FROM fs_whiteout)"""


def findings(path):
    """Empty is what it should be. Nobody else may have the database open."""
    with closing(sqlite3.connect(path)) as database:
        found = [row for row in database.execute("PRAGMA integrity_check") if row != ("ok",)]
        for what, query in FINDINGS.items():
            found += [(what, *row) for row in database.execute(query).fetchmany(5)]
        (overlay,) = database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'fs_whiteout'").fetchone()
        if overlay:
            found += [("an entry that is there and gone", *row) for row in database.execute(PATHS).fetchmany(5)]
    return found
