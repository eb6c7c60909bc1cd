//! Tables, indexes and the settings that say how to read them.

use super::rule::{Find, Places, Repair, Rule, Scene};
use crate::error::Result;
use crate::overlay;
use crate::schema;
use crate::upkeep::migrate::made_by;
use crate::upkeep::rebuild::{rebuild, texts};

macro_rules! duplicates {
    () => {
        "EXISTS (SELECT 1 FROM fs_dentry AS other NOT INDEXED WHERE other.parent_ino = fs_dentry.parent_ino \
         AND other.name = fs_dentry.name AND other.id < fs_dentry.id)"
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "missing-table",
        what: "tables or indexes of the format are not there",
        fix: Some("make them"),
        on: &[],
        find: Find::By(missing),
        repair: Repair::By(make),
    },
    Rule {
        code: "broken-index",
        what: "an index does not say what its table does",
        fix: Some("make the indexes anew from the tables"),
        on: &[],
        find: Find::By(broken_indexes),
        repair: Repair::Statements(&["REINDEX"]),
    },
    Rule {
        code: "duplicate-name",
        what: "a folder has two entries of one name",
        fix: Some("keep the older, and give the other a name with its number"),
        on: &["fs_dentry"],
        find: Find::Rows(concat!(
            "SELECT 'entry ' || id || ' (`' || name || '` in folder ' || parent_ino || ')' FROM fs_dentry WHERE ",
            duplicates!()
        )),
        repair: Repair::Statements(&[concat!(
            "UPDATE fs_dentry SET name = substr(name, 1, 200) || '~' || id WHERE ",
            duplicates!()
        )]),
    },
    Rule {
        code: "duplicates-possible",
        what: "nothing keeps a folder from having two entries of one name",
        fix: Some("make `fs_dentry` anew with its constraint"),
        on: &["fs_dentry"],
        find: Find::By(without_constraint),
        repair: Repair::By(|scene| rebuild(scene.store, "fs_dentry")),
    },
    Rule {
        code: "lost-autoincrement",
        what: "inode numbers of removed files may come back (AUTOINCREMENT is gone)",
        fix: Some("make `fs_inode` anew with it"),
        on: &["fs_inode"],
        find: Find::Rows(
            "SELECT 'table fs_inode' FROM sqlite_master WHERE name = 'fs_inode' AND sql NOT LIKE '%AUTOINCREMENT%'",
        ),
        repair: Repair::By(|scene| rebuild(scene.store, "fs_inode")),
    },
    Rule {
        code: "chunk-size",
        what: "the chunk size is not said, or is impossible",
        fix: Some("set it to what the chunks show, else to 4096"),
        on: &["fs_config"],
        find: Find::By(chunk_size),
        repair: Repair::By(set_chunk_size),
    },
    Rule {
        code: "schema-version",
        what: "`fs_config` says another version than the tables",
        fix: Some("note version 0.4"),
        on: &["fs_config"],
        find: Find::Rows(
            "SELECT 'fs_config' FROM (SELECT 1) WHERE NOT EXISTS \
             (SELECT 1 FROM fs_config WHERE key = 'schema_version' AND CAST(value AS TEXT) = '0.4')",
        ),
        repair: Repair::Statements(&["INSERT OR REPLACE INTO fs_config (key, value) VALUES ('schema_version', '0.4')"]),
    },
];

/// Statements that make what a database needs; those of an overlay only where it is one.
fn needed(scene: &Scene<'_>) -> impl Iterator<Item = &'static str> + use<> {
    let of_overlay = if scene.has("fs_overlay_config") { overlay::statements() } else { &[] };
    // Ours are made at each opening.
    let of_overlay = of_overlay.iter().filter(|sql| !made_by(sql).starts_with("nixbox_"));
    schema::statements().iter().chain(of_overlay).copied()
}

fn missing(scene: &mut Scene<'_>) -> Result<Places> {
    let there = texts(scene.store, "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")?;
    let mut places = Places::default();
    for name in needed(scene).map(made_by).filter(|name| !there.iter().any(|there| there == name)) {
        places.add(name);
    }
    Ok(places)
}

fn make(scene: &mut Scene<'_>) -> Result<()> {
    for sql in needed(scene) {
        scene.store.execute(sql, &[])?;
    }
    Ok(())
}

fn broken_indexes(scene: &mut Scene<'_>) -> Result<Places> {
    let mut places = Places::default();
    let said = texts(scene.store, "PRAGMA integrity_check(100)").unwrap_or_default();
    for line in said.into_iter().filter(|line| super::is_of_an_index(line)) {
        places.add(line);
    }
    Ok(places)
}

fn without_constraint(scene: &mut Scene<'_>) -> Result<Places> {
    let sql = "SELECT group_concat(c.name) FROM pragma_index_list('fs_dentry') AS i, pragma_index_info(i.name) AS c \
               WHERE i.\"unique\" GROUP BY i.name";
    let constraints = texts(scene.store, sql)?;
    let mut places = Places::default();
    if !constraints.iter().any(|columns| matches!(columns.as_str(), "parent_ino,name" | "name,parent_ino")) {
        places.add("table fs_dentry");
    }
    Ok(places)
}

fn chunk_size(scene: &mut Scene<'_>) -> Result<Places> {
    let said = texts(scene.store, "SELECT CAST(value AS TEXT) FROM fs_config WHERE key = 'chunk_size'")?;
    let possible = |size: u32| (1..=schema::MAX_CHUNK_SIZE).contains(&size);
    let mut places = Places::default();
    match said.first() {
        None => places.add("fs_config: nothing"),
        Some(said) if said.parse().is_ok_and(possible) => {}
        Some(said) => places.add(format!("fs_config: `{said}`")),
    }
    Ok(places)
}

/// A chunk that another follows is as long as chunks are.
fn set_chunk_size(scene: &mut Scene<'_>) -> Result<()> {
    let mut size = i64::from(schema::UPSTREAM_CHUNK_SIZE);
    if scene.has("fs_data") {
        let sql = "SELECT length(data) FROM fs_data WHERE chunk_index = 0 AND length(data) BETWEEN 1 AND ? \
                   AND ino IN (SELECT ino FROM fs_data WHERE chunk_index = 1) \
                   GROUP BY length(data) ORDER BY count(*) DESC LIMIT 1";
        let most = i64::from(schema::MAX_CHUNK_SIZE);
        // Without a file of two chunks, the longest is no longer than a chunk.
        let longest = "SELECT max(length(data)) FROM fs_data WHERE length(data) <= ?";
        let seen = match scene.numbers::<1>(sql, &[most.into()])?.first() {
            Some([seen]) => *seen,
            None => scene.numbers::<1>(longest, &[most.into()])?.first().map_or(-1, |[longest]| (*longest).max(size)),
        };
        if seen > 0 {
            size = seen;
        }
    }
    let text = size.to_string();
    let sql = "INSERT OR REPLACE INTO fs_config (key, value) VALUES ('chunk_size', ?)";
    scene.store.execute(sql, &[text.as_str().into()])?;
    Ok(())
}
