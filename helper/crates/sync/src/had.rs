//! What the copy of the remote had before its tables came anew: what of the content is another since, and what of it is
//! the same under another number or name.

use rusqlite::{Connection, OptionalExtension};

use crate::content::{self, CONTENT, HOLDS};
use crate::error::Result;

/// Kept in tables of this connection alone, since a tree may be of any size.
pub(crate) struct Before<'c> {
    copy: &'c Connection,
}

const INODE: &str = "mode, nlink, uid, gid, size, atime, mtime, ctime, rdev, atime_nsec, mtime_nsec, ctime_nsec";

impl<'c> Before<'c> {
    pub(crate) fn put_aside(copy: &'c Connection) -> Result<Self> {
        copy.execute_batch(&format!(
            "CREATE TEMP TABLE was_inode (ino INTEGER PRIMARY KEY, {INODE}); \
             INSERT INTO was_inode SELECT ino, {INODE} FROM fs_inode; \
             CREATE TEMP TABLE again (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT NULL); \
             CREATE TEMP TABLE was_content (hash TEXT PRIMARY KEY, ino INTEGER NOT NULL) WITHOUT ROWID; \
             INSERT OR IGNORE INTO was_content SELECT c.hash, c.ino FROM {CONTENT} AS c \
             JOIN fs_inode AS i ON {HOLDS} WHERE c.ino NOT IN (SELECT ino FROM nixbox_absent)"
        ))?;
        Ok(Self { copy })
    }

    /// Files that are other ones now, or whose attributes are, with their sizes.
    pub(crate) fn changed(&self) -> Result<Vec<(i64, u64)>> {
        const REGULAR: i64 = 0o100_000;
        let each = |of: &str| INODE.split(", ").map(|column| format!("{of}.{column}")).collect::<Vec<_>>().join(", ");
        let mut select = self.copy.prepare(&format!(
            "SELECT ino, size FROM fs_inode AS now WHERE now.mode & 61440 = {REGULAR} AND NOT EXISTS \
             (SELECT 1 FROM temp.was_inode AS was WHERE was.ino = now.ino AND ({}) IS ({})) ORDER BY ino",
            each("was"),
            each("now")
        ))?;
        let changed = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.try_into().unwrap_or(0))))?;
        Ok(changed.collect::<rusqlite::Result<_>>()?)
    }

    /// Gives each of these the content that it has by its hash, where that is here; the others are to come.
    pub(crate) fn have_again(&self, wanted: Vec<(i64, u64)>) -> Result<Vec<(i64, u64)>> {
        let known = content::known(self.copy)?;
        let mut had = self.copy.prepare("SELECT ino FROM temp.was_content WHERE hash = ?")?;
        let mut again =
            self.copy.prepare("INSERT INTO temp.again SELECT ?, chunk_index, data FROM fs_data WHERE ino = ?")?;
        let (mut to_come, mut moved) = (Vec::new(), Vec::new());
        for (ino, size) in wanted {
            let from = match known.get(&ino) {
                Some(hash) => had.query_row([hash], |row| row.get::<_, i64>(0)).optional()?,
                None => None,
            };
            match from {
                Some(from) if from == ino => {}
                // Put in its place when nobody has to be copied any more: two may have changed places.
                Some(from) => {
                    again.execute([ino, from])?;
                    moved.push(ino);
                }
                None => to_come.push((ino, size)),
            }
        }
        let mut gone = self.copy.prepare("DELETE FROM fs_data WHERE ino = ?")?;
        for ino in moved {
            gone.execute([ino])?;
        }
        let come = "INSERT INTO fs_data (ino, chunk_index, data) SELECT ino, chunk_index, data FROM temp.again";
        self.copy.execute(come, [])?;
        Ok(to_come)
    }
}

impl Drop for Before<'_> {
    fn drop(&mut self) {
        let drop = "DROP TABLE temp.was_inode; DROP TABLE temp.was_content; DROP TABLE temp.again";
        if let Err(error) = self.copy.execute_batch(drop) {
            tracing::debug!(%error, "it goes with the connection");
        }
    }
}
