//! Names, what they stand for and where they are.

use super::lost;
use super::reach;
use super::rule::{Find, Repair, Rule, Scene};
use crate::error::Result;

/// What no system can show as a name.
macro_rules! bad_name {
    () => {
        "(typeof(name) <> 'text' OR length(CAST(name AS BLOB)) NOT BETWEEN 1 AND 255 OR name IN ('.', '..') \
         OR instr(CAST(name AS BLOB), x'2f') > 0 OR instr(CAST(name AS BLOB), x'00') > 0)"
    };
}

macro_rules! no_folder {
    () => {
        "parent_ino NOT IN (SELECT ino FROM fs_inode WHERE mode & 61440 = 16384)"
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "root-entry",
        what: "an entry stands for the root",
        fix: Some("take the entry away"),
        on: &["fs_dentry"],
        find: Find::Rows("SELECT 'entry ' || id FROM fs_dentry WHERE ino = 1"),
        repair: Repair::Statements(&["DELETE FROM fs_dentry WHERE ino = 1"]),
    },
    Rule {
        code: "dangling-entry",
        what: "an entry stands for an inode that is not there",
        fix: Some("make the inode again where something of it is left, else take the entry away"),
        on: &["fs_inode", "fs_dentry", "fs_data", "fs_symlink"],
        find: Find::Rows(
            "SELECT 'entry ' || id || ' (`' || name || '` in folder ' || parent_ino || ')' FROM fs_dentry \
             WHERE ino NOT IN (SELECT ino FROM fs_inode)",
        ),
        repair: Repair::By(dangling),
    },
    Rule {
        code: "entry-without-folder",
        what: "an entry is in a folder that is not there",
        fix: Some("make the folder again, in lost+found"),
        on: &["fs_inode", "fs_dentry", "fs_data"],
        find: Find::Rows(concat!(
            "SELECT 'entry ' || id || ' (`' || name || '` in inode ' || parent_ino || ')' FROM fs_dentry WHERE ",
            no_folder!()
        )),
        repair: Repair::By(without_folder),
    },
    Rule {
        code: "bad-name",
        what: "a name that no file can have",
        fix: Some("move it to lost+found, with its number for a name"),
        on: &["fs_dentry"],
        find: Find::Rows(concat!(
            "SELECT 'entry ' || id || ' in folder ' || parent_ino FROM fs_dentry WHERE ",
            bad_name!()
        )),
        repair: Repair::By(bad_names),
    },
    Rule {
        code: "nameless-inode",
        what: "an inode has no name",
        fix: Some("give it one in lost+found; what was removed, or is an empty folder, goes"),
        on: &["fs_inode", "fs_dentry", "fs_data", "fs_symlink"],
        find: Find::Rows(
            "SELECT 'inode ' || ino FROM fs_inode WHERE ino <> 1 AND ino NOT IN (SELECT ino FROM fs_dentry)",
        ),
        repair: Repair::By(nameless),
    },
    Rule {
        code: "folder-twice",
        what: "a folder has more than one name",
        fix: Some("keep the first name"),
        on: &["fs_inode", "fs_dentry"],
        find: Find::By(reach::twice),
        repair: Repair::By(reach::keep_first),
    },
    Rule {
        code: "unreachable",
        what: "folders lead around in a circle, and not to the root",
        fix: Some("move one of them to lost+found"),
        on: &["fs_inode", "fs_dentry"],
        find: Find::By(reach::circles),
        repair: Repair::By(reach::open_circles),
    },
];

fn dangling(scene: &mut Scene<'_>) -> Result<()> {
    let inodes = scene.numbers::<4>(
        "SELECT DISTINCT ino, ino IN (SELECT ino FROM fs_symlink), ino IN (SELECT parent_ino FROM fs_dentry), \
         ino IN (SELECT ino FROM fs_data) FROM fs_dentry WHERE ino NOT IN (SELECT ino FROM fs_inode)",
        &[],
    )?;
    for [ino, is_link, is_folder, is_file] in inodes {
        let mode = match (is_link, is_folder, is_file) {
            (1, ..) => lost::LINK,
            (_, 1, _) => lost::FOLDER,
            (_, _, 1) => lost::FILE,
            _ => {
                scene.run("DELETE FROM fs_dentry WHERE ino = ?", &[ino.into()])?;
                continue;
            }
        };
        lost::inode(scene, ino, mode)?;
    }
    Ok(())
}

fn without_folder(scene: &mut Scene<'_>) -> Result<()> {
    let parents = scene.numbers::<2>(
        concat!(
            "SELECT DISTINCT parent_ino, parent_ino IN (SELECT ino FROM fs_inode) FROM fs_dentry WHERE ",
            no_folder!()
        ),
        &[],
    )?;
    for [parent, is_something_else] in parents {
        // An inode of that number with content must not become part of the folder.
        let keeps_number = is_something_else == 0
            && parent > 0
            && scene.numbers::<1>("SELECT 1 FROM fs_data WHERE ino = ? LIMIT 1", &[parent.into()])?.is_empty();
        let ino = if keeps_number { parent } else { lost::new_number(scene)? };
        lost::inode(scene, ino, lost::FOLDER)?;
        if ino != parent {
            scene.run("UPDATE fs_dentry SET parent_ino = ? WHERE parent_ino = ?", &[ino.into(), parent.into()])?;
        }
        lost::keep(scene, ino, &format!("folder-{parent}"))?;
    }
    Ok(())
}

fn bad_names(scene: &mut Scene<'_>) -> Result<()> {
    let entries = scene.numbers::<2>(concat!("SELECT id, ino FROM fs_dentry WHERE ", bad_name!()), &[])?;
    for [id, ino] in entries {
        lost::move_entry(scene, id, ino, &format!("entry-{id}"))?;
    }
    Ok(())
}

fn nameless(scene: &mut Scene<'_>) -> Result<()> {
    let inodes = scene.numbers::<3>(
        "SELECT ino, nlink, mode & 61440 FROM fs_inode WHERE ino <> 1 AND ino NOT IN (SELECT ino FROM fs_dentry)",
        &[],
    )?;
    for [ino, links, kind] in inodes {
        let holds = scene.numbers::<1>("SELECT 1 FROM fs_dentry WHERE parent_ino = ? LIMIT 1", &[ino.into()])?;
        let (name, is_kept) = match kind {
            0o040_000 => ("folder", !holds.is_empty()),
            0o120_000 => ("link", links > 0),
            _ => ("inode", links > 0),
        };
        if is_kept {
            lost::keep(scene, ino, &format!("{name}-{ino}"))?;
            continue;
        }
        for table in ["fs_data", "fs_symlink", "fs_inode"] {
            scene.run(&format!("DELETE FROM {table} WHERE ino = ?"), &[ino.into()])?;
        }
    }
    Ok(())
}
