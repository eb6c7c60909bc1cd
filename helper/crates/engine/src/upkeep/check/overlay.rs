//! What an overlay remembers of the folder below it, and our own tables of it.

use super::rule::{Find, Places, Repair, Rule, Scene};
use crate::error::Result;
use crate::filesystem::ROOT;
use crate::upkeep::rebuild::texts;

macro_rules! parent {
    () => {
        "coalesce(nullif(rtrim(rtrim(path, replace(path, '/', '')), '/'), ''), '/')"
    };
}

macro_rules! bad_path {
    () => {
        "(typeof(path) <> 'text' OR path NOT LIKE '/_%' OR path LIKE '%/' OR path LIKE '%//%' OR path LIKE '%/./%' \
         OR path LIKE '%/../%' OR path LIKE '%/.' OR path LIKE '%/..')"
    };
}

macro_rules! bad_attr {
    () => {
        concat!(
            bad_path!(),
            " OR kind NOT IN ('file', 'folder', 'link', 'fifo', 'socket', 'char-device', 'block-device')"
        )
    };
}

macro_rules! without_inode {
    ($code:literal, $table:literal, $ino:literal) => {
        Rule {
            code: $code,
            what: concat!("`", $table, "` speaks of an inode that is not there"),
            fix: Some("forget it"),
            on: &["fs_inode", $table],
            find: Find::Rows(concat!(
                "SELECT 'inode ' || ",
                $ino,
                " FROM ",
                $table,
                " WHERE ",
                $ino,
                " NOT IN (SELECT ino FROM fs_inode)"
            )),
            repair: Repair::Statements(&[concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $ino,
                " NOT IN (SELECT ino FROM fs_inode)"
            )]),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "base-path",
        what: "an overlay does not say which folder it lies over",
        fix: None,
        on: &["fs_overlay_config"],
        find: Find::Rows(
            "SELECT 'fs_overlay_config' FROM (SELECT 1) WHERE NOT EXISTS (SELECT 1 FROM fs_overlay_config \
             WHERE key = 'base_path' AND CAST(value AS TEXT) LIKE '/%')",
        ),
        repair: Repair::None,
    },
    Rule {
        code: "whiteout-path",
        what: "a whiteout names no path of the base",
        fix: Some("take it away"),
        on: &["fs_whiteout"],
        find: Find::Rows(concat!("SELECT '`' || path || '`' FROM fs_whiteout WHERE ", bad_path!())),
        repair: Repair::Statements(&[concat!("DELETE FROM fs_whiteout WHERE ", bad_path!())]),
    },
    Rule {
        code: "whiteout-over-entry",
        what: "a whiteout hides what the database has at that path",
        fix: Some("take the whiteout away"),
        on: &["fs_whiteout", "fs_dentry"],
        find: Find::By(|scene| {
            let mut places = Places::default();
            for path in over_entries(scene)? {
                places.add(path);
            }
            Ok(places)
        }),
        repair: Repair::By(|scene| {
            for path in over_entries(scene)? {
                scene.run("DELETE FROM fs_whiteout WHERE path = ?", &[path.as_str().into()])?;
            }
            Ok(())
        }),
    },
    Rule {
        code: "whiteout-parent",
        what: "a whiteout names another folder than its path",
        fix: Some("write down the folder of its path"),
        on: &["fs_whiteout"],
        find: Find::By(|scene| match has_parents(scene)? {
            true => scene.places(concat!("SELECT path FROM fs_whiteout WHERE parent_path <> ", parent!())),
            false => Ok(Places::default()),
        }),
        repair: Repair::Statements(&[concat!(
            "UPDATE fs_whiteout SET parent_path = ",
            parent!(),
            " WHERE parent_path <> ",
            parent!()
        )]),
    },
    Rule {
        code: "attr-path",
        what: "`nixbox_attr` names no path of the base, or no kind of entry",
        fix: Some("forget it"),
        on: &["nixbox_attr"],
        find: Find::Rows(concat!("SELECT '`' || path || '`' FROM nixbox_attr WHERE ", bad_attr!())),
        repair: Repair::Statements(&[concat!("DELETE FROM nixbox_attr WHERE ", bad_attr!())]),
    },
    Rule {
        code: "attr-over-entry",
        what: "`nixbox_attr` speaks of what the database has itself",
        fix: Some("forget it; the database's own attributes count"),
        on: &["nixbox_attr", "fs_dentry"],
        find: Find::By(|scene| places_of(scene, Share::Here)),
        repair: Repair::By(|scene| forget(scene, Share::Here)),
    },
    Rule {
        code: "attr-of-nothing",
        what: "`nixbox_attr` speaks of an entry of the base that does not show",
        fix: Some("forget it"),
        on: &["nixbox_attr", "fs_dentry", "fs_inode"],
        find: Find::By(|scene| places_of(scene, Share::Hidden)),
        repair: Repair::By(|scene| forget(scene, Share::Hidden)),
    },
    without_inode!("origin-without-inode", "fs_origin", "delta_ino"),
    without_inode!("nixbox-origin-without-inode", "nixbox_origin", "ino"),
    without_inode!("opaque-without-folder", "nixbox_opaque", "ino"),
    without_inode!("replaced-without-inode", "nixbox_replaced", "ino"),
];

/// SPEC has the column, upstream's programs do not make it.
fn has_parents(scene: &mut Scene<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM pragma_table_info('fs_whiteout') WHERE name = 'parent_path'";
    // Empty until an owner of ours opens the database for the first time.
    let told = "SELECT 1 FROM fs_whiteout WHERE parent_path <> '' LIMIT 1";
    Ok(!scene.numbers::<1>(sql, &[])?.is_empty() && !scene.numbers::<1>(told, &[])?.is_empty())
}

fn over_entries(scene: &mut Scene<'_>) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    scene.store.query("SELECT path FROM fs_whiteout WHERE typeof(path) = 'text'", &[], &mut |row| {
        paths.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    let mut over = Vec::new();
    for path in paths {
        let mut at = Some(ROOT as i64);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(folder) = at else { break };
            let sql = "SELECT ino FROM fs_dentry WHERE parent_ino = ? AND name = ?";
            at = scene.numbers::<1>(sql, &[folder.into(), name.into()])?.first().map(|[ino]| *ino);
        }
        if at.is_some_and(|ino| ino != ROOT as i64) {
            over.push(path);
        }
    }
    Ok(over)
}

/// What the database has to say of a path of the base.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// It has an entry there.
    Here,
    /// Nothing of the base shows there.
    Hidden,
    /// The base shows.
    None,
}

fn places_of(scene: &mut Scene<'_>, share: Share) -> Result<Places> {
    let mut places = Places::default();
    for path in attrs_with(scene, share)? {
        places.add(format!("`{path}`"));
    }
    Ok(places)
}

fn forget(scene: &mut Scene<'_>, share: Share) -> Result<()> {
    for path in attrs_with(scene, share)? {
        scene.run("DELETE FROM nixbox_attr WHERE path = ?", &[path.as_str().into()])?;
    }
    Ok(())
}

fn attrs_with(scene: &mut Scene<'_>, wanted: Share) -> Result<Vec<String>> {
    let mut paths = texts(scene.store, "SELECT path FROM nixbox_attr WHERE typeof(path) = 'text'")?;
    let mut found = Vec::new();
    for path in paths.drain(..) {
        if share(scene, &path)? == wanted {
            found.push(path);
        }
    }
    Ok(found)
}

fn share(scene: &mut Scene<'_>, path: &str) -> Result<Share> {
    let (mut at, mut so_far) = (Some(ROOT as i64), String::new());
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        so_far = format!("{so_far}/{name}");
        let gone = "SELECT 1 FROM fs_whiteout WHERE path = ?";
        let sql = "SELECT d.ino, i.mode & 61440 FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino \
                   WHERE d.parent_ino = ? AND d.name = ?";
        let entry = match at {
            Some(folder) => scene.numbers::<2>(sql, &[folder.into(), name.into()])?.first().copied(),
            None => None,
        };
        at = match entry {
            Some(_) if names.peek().is_none() => return Ok(Share::Here),
            Some([ino, FOLDER]) if !is_opaque(scene, ino)? => Some(ino),
            Some(_) => return Ok(Share::Hidden),
            None if scene.has("fs_whiteout") && !scene.numbers::<1>(gone, &[so_far.as_str().into()])?.is_empty() => {
                return Ok(Share::Hidden);
            }
            None => None,
        };
    }
    Ok(Share::None)
}

const FOLDER: i64 = 0o040_000;

fn is_opaque(scene: &mut Scene<'_>, folder: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM nixbox_opaque WHERE ino = ?";
    Ok(scene.has("nixbox_opaque") && !scene.numbers::<1>(sql, &[folder.into()])?.is_empty())
}
