//! `/lost+found`: where what no name leads to gets one.

use super::rule::Scene;
use crate::error::Result;

pub(super) const FILE: i64 = 0o100_644;
pub(super) const FOLDER: i64 = 0o040_755;
pub(super) const LINK: i64 = 0o120_777;

/// An inode that was missing, under the number by which others know it.
pub(super) fn inode(scene: &mut Scene<'_>, ino: i64, mode: i64) -> Result<()> {
    let nlink = if mode == FOLDER { 2 } else { 1 };
    scene.run(
        "INSERT INTO fs_inode (ino, mode, nlink, size, atime, mtime, ctime) VALUES (?1, ?2, ?3, \
         coalesce((SELECT max(chunk_index * :chunk + length(CAST(data AS BLOB))) FROM fs_data WHERE ino = ?1 \
         AND chunk_index BETWEEN 0 AND (SELECT count(*) FROM fs_data WHERE ino = ?1)), 0), \
         unixepoch(), unixepoch(), unixepoch())",
        &[ino.into(), mode.into(), i64::from(nlink).into()],
    )?;
    Ok(())
}

/// A number that no inode has and no other table speaks of.
pub(super) fn new_number(scene: &mut Scene<'_>) -> Result<i64> {
    let mut highest = 1;
    for sql in [
        "SELECT max(ino) FROM fs_inode",
        "SELECT max(ino) FROM fs_dentry",
        "SELECT max(parent_ino) FROM fs_dentry",
        "SELECT max(ino) FROM fs_data",
        "SELECT max(ino) FROM fs_symlink",
        "SELECT max(seq) FROM sqlite_sequence WHERE name = 'fs_inode'",
    ] {
        highest = scene.numbers::<1>(sql, &[])?.first().map_or(1, |[number]| *number).max(highest);
    }
    Ok(highest + 1)
}

/// Gives an inode a name in lost+found.
pub(super) fn keep(scene: &mut Scene<'_>, ino: i64, name: &str) -> Result<()> {
    let folder = folder(scene)?;
    enter(scene, folder, ino, name)
}

/// With a number behind it where the name is taken.
fn enter(scene: &mut Scene<'_>, folder: i64, ino: i64, name: &str) -> Result<()> {
    let mut wanted = name.to_owned();
    let mut number = 1;
    while child(scene, folder, &wanted)?.is_some() {
        number += 1;
        wanted = format!("{name}-{number}");
    }
    let sql = "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (?, ?, ?)";
    scene.run(sql, &[wanted.as_str().into(), folder.into(), ino.into()])?;
    Ok(())
}

/// Moves an entry, by its number, to lost+found.
pub(super) fn move_entry(scene: &mut Scene<'_>, id: i64, ino: i64, name: &str) -> Result<()> {
    scene.run("DELETE FROM fs_dentry WHERE id = ?", &[id.into()])?;
    keep(scene, ino, name)
}

fn child(scene: &mut Scene<'_>, folder: i64, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT ino FROM fs_dentry WHERE parent_ino = ? AND name = ?";
    Ok(scene.numbers::<1>(sql, &[folder.into(), name.into()])?.first().map(|[ino]| *ino))
}

/// Made where it is not there. A file of that name stays what it is.
fn folder(scene: &mut Scene<'_>) -> Result<i64> {
    let mut name = "lost+found".to_owned();
    let mut number = 1;
    while let Some(ino) = child(scene, 1, &name)? {
        let sql = "SELECT 1 FROM fs_inode WHERE ino = ? AND mode & 61440 = 16384";
        if !scene.numbers::<1>(sql, &[ino.into()])?.is_empty() {
            return Ok(ino);
        }
        number += 1;
        name = format!("lost+found-{number}");
    }
    let ino = new_number(scene)?;
    inode(scene, ino, FOLDER)?;
    let sql = "INSERT INTO fs_dentry (name, parent_ino, ino) VALUES (?, 1, ?)";
    scene.run(sql, &[name.as_str().into(), ino.into()])?;
    Ok(ino)
}
