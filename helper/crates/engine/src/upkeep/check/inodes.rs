//! What inodes say of themselves.

use super::lost;
use super::rule::{Find, Repair, Rule, Scene};
use crate::error::Result;
use crate::files::tidy::WRONG_LINKS;
use crate::upkeep::migrate::UNCOUNTED;

/// What is no whole number where one belongs.
macro_rules! no_number {
    () => {
        "typeof(mode) <> 'integer' OR typeof(nlink) <> 'integer' OR typeof(uid) <> 'integer' OR \
         typeof(gid) <> 'integer' OR typeof(rdev) <> 'integer' OR typeof(atime) <> 'integer' OR \
         typeof(mtime) <> 'integer' OR typeof(ctime) <> 'integer' OR typeof(atime_nsec) <> 'integer' OR \
         typeof(mtime_nsec) <> 'integer' OR typeof(ctime_nsec) <> 'integer' OR \
         nlink < 0 OR nlink > 4294967295 OR uid NOT BETWEEN 0 AND 4294967295 OR gid NOT BETWEEN 0 AND 4294967295 OR \
         rdev NOT BETWEEN 0 AND 4294967295 OR atime_nsec NOT BETWEEN 0 AND 999999999 OR \
         mtime_nsec NOT BETWEEN 0 AND 999999999 OR ctime_nsec NOT BETWEEN 0 AND 999999999"
    };
}

macro_rules! bad_size {
    () => {
        "(typeof(size) <> 'integer' OR size < 0)"
    };
}

macro_rules! bad_mode {
    () => {
        "(typeof(mode) <> 'integer' OR mode NOT BETWEEN 0 AND 65535 OR \
         mode & 61440 NOT IN (32768, 16384, 40960, 4096, 8192, 24576, 49152))"
    };
}

/// The kind that the other tables show.
macro_rules! shown_kind {
    () => {
        "CASE WHEN ino IN (SELECT ino FROM fs_symlink) THEN 40960 \
         WHEN ino IN (SELECT parent_ino FROM fs_dentry) THEN 16384 ELSE 32768 END"
    };
}

macro_rules! targetless {
    () => {
        "mode & 61440 = 40960 AND ino NOT IN (SELECT ino FROM fs_symlink WHERE typeof(target) = 'text' AND \
         length(CAST(target AS BLOB)) BETWEEN 1 AND 4095 AND instr(CAST(target AS BLOB), x'00') = 0)"
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "no-root",
        what: "there is no root folder (inode 1)",
        fix: Some("make it"),
        on: &["fs_inode"],
        find: Find::Rows("SELECT 'inode 1' FROM (SELECT 1) WHERE NOT EXISTS (SELECT 1 FROM fs_inode WHERE ino = 1)"),
        repair: Repair::Statements(&["INSERT INTO fs_inode (ino, mode, nlink, atime, mtime, ctime) \
             VALUES (1, 16877, 2, unixepoch(), unixepoch(), unixepoch())"]),
    },
    Rule {
        code: "root-kind",
        what: "the root (inode 1) is no folder",
        fix: Some("make it one"),
        on: &["fs_inode"],
        find: Find::Rows(
            "SELECT 'inode 1' FROM fs_inode WHERE ino = 1 AND (typeof(mode) <> 'integer' OR mode NOT BETWEEN 0 AND 65535 \
             OR mode & 61440 <> 16384)",
        ),
        repair: Repair::Statements(&["UPDATE fs_inode SET mode = 16877 WHERE ino = 1"]),
    },
    Rule {
        code: "bad-mode",
        what: "an inode is of no known kind",
        fix: Some("give it the kind that the other tables show"),
        on: &["fs_inode", "fs_dentry", "fs_symlink"],
        find: Find::Rows(concat!("SELECT 'inode ' || ino FROM fs_inode WHERE ", bad_mode!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE fs_inode SET mode = ",
            shown_kind!(),
            " | CASE WHEN typeof(mode) = 'integer' AND mode & 511 <> 0 THEN mode & 4095 \
             WHEN ino IN (SELECT parent_ino FROM fs_dentry) THEN 493 ELSE 420 END WHERE ",
            bad_mode!()
        )]),
    },
    Rule {
        code: "bad-size",
        what: "an inode's size is no number that a file can have",
        fix: Some("set it to what its chunks hold"),
        on: &["fs_inode", "fs_data"],
        find: Find::Rows(concat!("SELECT 'inode ' || ino FROM fs_inode WHERE ", bad_size!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE fs_inode SET size = coalesce((SELECT max(chunk_index * :chunk + length(CAST(data AS BLOB))) \
             FROM fs_data WHERE fs_data.ino = fs_inode.ino AND chunk_index BETWEEN 0 AND \
             (SELECT count(*) FROM fs_data AS c WHERE c.ino = fs_inode.ino)), 0) WHERE ",
            bad_size!()
        )]),
    },
    Rule {
        code: "bad-number",
        what: "an owner, time, device or link count is no number that it can be",
        fix: Some("set it to the nearest that is possible, else 0"),
        on: &["fs_inode"],
        find: Find::Rows(concat!("SELECT 'inode ' || ino FROM fs_inode WHERE ", no_number!())),
        repair: Repair::Statements(&[concat!(
            "UPDATE fs_inode SET mode = CAST(mode AS INTEGER), \
             nlink = max(0, min(4294967295, CAST(nlink AS INTEGER))), \
             uid = max(0, min(4294967295, CAST(uid AS INTEGER))), gid = max(0, min(4294967295, CAST(gid AS INTEGER))), \
             rdev = max(0, min(4294967295, CAST(rdev AS INTEGER))), \
             atime = CAST(atime AS INTEGER), mtime = CAST(mtime AS INTEGER), ctime = CAST(ctime AS INTEGER), \
             atime_nsec = max(0, min(999999999, CAST(atime_nsec AS INTEGER))), \
             mtime_nsec = max(0, min(999999999, CAST(mtime_nsec AS INTEGER))), \
             ctime_nsec = max(0, min(999999999, CAST(ctime_nsec AS INTEGER))) WHERE ",
            no_number!()
        )]),
    },
    Rule {
        code: "stray-target",
        what: "a symbolic link's target belongs to no symbolic link",
        fix: Some("make the link again, in lost+found; of what is something else, forget the target"),
        on: &["fs_inode", "fs_dentry", "fs_symlink"],
        find: Find::Rows(
            "SELECT 'inode ' || ino FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM fs_inode WHERE mode & 61440 = 40960)",
        ),
        repair: Repair::By(stray_targets),
    },
    Rule {
        code: "link-without-target",
        what: "a symbolic link leads nowhere: it has no target, or an impossible one",
        fix: Some("let it lead to a name in lost+found that is not there"),
        on: &["fs_inode", "fs_symlink"],
        find: Find::Rows(concat!("SELECT 'inode ' || ino FROM fs_inode WHERE ", targetless!())),
        repair: Repair::Statements(&[concat!(
            "INSERT OR REPLACE INTO fs_symlink (ino, target) SELECT ino, '/lost+found/target-of-' || ino \
             FROM fs_inode WHERE ",
            targetless!()
        )]),
    },
];

/// Once every entry and every chunk is where it belongs.
pub(super) const COUNTS: &[Rule] = &[
    Rule {
        code: "link-size",
        what: "a symbolic link's size is not the length of its target",
        fix: Some("set it to that"),
        on: &["fs_inode", "fs_symlink"],
        find: Find::Rows(
            "SELECT 'inode ' || i.ino FROM fs_inode AS i JOIN fs_symlink AS s ON s.ino = i.ino \
             WHERE i.mode & 61440 = 40960 AND i.size <> length(CAST(s.target AS BLOB))",
        ),
        repair: Repair::Statements(&[
            "UPDATE fs_inode SET size = length(CAST(s.target AS BLOB)) FROM fs_symlink AS s \
             WHERE s.ino = fs_inode.ino AND mode & 61440 = 40960 AND size <> length(CAST(s.target AS BLOB))",
        ]),
    },
    Rule {
        code: "link-count",
        what: "an inode counts other links than there are names",
        fix: Some("count them"),
        on: &["fs_inode", "fs_dentry"],
        // How a folder counts differs between upstream's programs; that it has none says that it was removed.
        find: Find::Rows(
            "SELECT 'inode ' || i.ino || ': ' || i.nlink || ' for ' || n.links \
             FROM fs_inode AS i JOIN (SELECT ino, count(*) AS links FROM fs_dentry GROUP BY ino) AS n ON n.ino = i.ino \
             WHERE (i.mode & 61440 <> 16384 AND i.nlink <> n.links) OR (i.mode & 61440 = 16384 AND i.nlink < 1)",
        ),
        repair: Repair::Statements(&[UNCOUNTED, WRONG_LINKS]),
    },
];

fn stray_targets(scene: &mut Scene<'_>) -> Result<()> {
    let lost = scene.numbers::<1>("SELECT ino FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM fs_inode)", &[])?;
    for [ino] in lost {
        lost::inode(scene, ino, lost::LINK)?;
        let named = scene.numbers::<1>("SELECT 1 FROM fs_dentry WHERE ino = ?", &[ino.into()])?;
        if named.is_empty() {
            lost::keep(scene, ino, &format!("link-{ino}"))?;
        }
    }
    scene.run("DELETE FROM fs_symlink WHERE ino NOT IN (SELECT ino FROM fs_inode WHERE mode & 61440 = 40960)", &[])?;
    Ok(())
}
