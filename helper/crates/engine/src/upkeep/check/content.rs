//! Chunks: whose they are, where they lie in a file and how long they are. A file's size holds; what lies behind it is
//! kept aside, as nobody can say which of the two is wrong.

use super::lost;
use super::rule::{Find, Repair, Rule, Scene};
use crate::error::Result;
use crate::files::FILL_LIMIT;

macro_rules! no_file {
    () => {
        "ino NOT IN (SELECT ino FROM fs_inode WHERE mode & 61440 = 32768)"
    };
}

/// How long a chunk is to be.
macro_rules! length {
    () => {
        "min(:chunk, i.size - c.chunk_index * :chunk)"
    };
}

macro_rules! of_files {
    () => {
        "FROM fs_data AS c JOIN fs_inode AS i ON i.ino = c.ino WHERE i.mode & 61440 = 32768 AND "
    };
}

macro_rules! place {
    () => {
        "SELECT 'inode ' || c.ino || ', chunk ' || c.chunk_index "
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "chunk-no-bytes",
        what: "a chunk is a number, or NULL, where bytes belong",
        fix: Some("take it for the bytes of its text"),
        on: &["fs_data"],
        find: Find::Rows(
            "SELECT 'inode ' || ino || ', chunk ' || chunk_index FROM fs_data WHERE typeof(data) NOT IN ('blob', 'text')",
        ),
        repair: Repair::Statements(&[
            "UPDATE fs_data SET data = CAST(coalesce(data, '') AS BLOB) WHERE typeof(data) NOT IN ('blob', 'text')",
        ]),
    },
    Rule {
        code: "stray-chunks",
        what: "chunks belong to no file",
        fix: Some("make a file of them in lost+found"),
        on: &["fs_inode", "fs_dentry", "fs_data"],
        find: Find::Rows(concat!("SELECT DISTINCT 'inode ' || ino FROM fs_data WHERE ", no_file!())),
        repair: Repair::By(stray),
    },
    Rule {
        code: "chunk-beyond-end",
        what: "chunks lie where the file has ended, or before its beginning",
        fix: Some("keep them as a file in lost+found"),
        on: &["fs_inode", "fs_dentry", "fs_data"],
        find: Find::Rows(concat!(
            place!(),
            of_files!(),
            "(c.chunk_index < 0 OR c.chunk_index > (i.size - 1) / :chunk OR i.size = 0)"
        )),
        repair: Repair::By(beyond),
    },
    Rule {
        code: "chunk-too-long",
        what: "a chunk is longer than its place in the file",
        fix: Some("cut it, and keep what is cut off as a file in lost+found"),
        on: &["fs_inode", "fs_dentry", "fs_data"],
        find: Find::Rows(concat!(place!(), of_files!(), "length(CAST(c.data AS BLOB)) > ", length!())),
        repair: Repair::By(too_long),
    },
    Rule {
        code: "chunk-too-short",
        what: "a chunk is shorter than its place in the file",
        fix: Some("fill it with zeroes, as which it reads"),
        on: &["fs_inode", "fs_data"],
        find: Find::Rows(concat!(place!(), of_files!(), "length(CAST(c.data AS BLOB)) < ", length!())),
        repair: Repair::By(too_short),
    },
    Rule {
        code: "hole",
        what: "chunks of a file are missing, so its size is not that of its chunks",
        fix: Some("fill them with zeroes, as which they read"),
        on: &["fs_inode", "fs_data"],
        find: Find::By(|scene| {
            let mut places = super::rule::Places::default();
            for [ino, _, missing] in holes(scene)? {
                places.add(format!("inode {ino}: {missing} missing"));
            }
            Ok(places)
        }),
        repair: Repair::By(fill),
    },
];

fn stray(scene: &mut Scene<'_>) -> Result<()> {
    let owners = scene.numbers::<2>(
        concat!("SELECT DISTINCT ino, ino IN (SELECT ino FROM fs_inode) FROM fs_data WHERE ", no_file!()),
        &[],
    )?;
    for [owner, is_something_else] in owners {
        let ino = if is_something_else == 0 && owner > 1 { owner } else { lost::new_number(scene)? };
        if ino != owner {
            scene.run("UPDATE fs_data SET ino = ? WHERE ino = ?", &[ino.into(), owner.into()])?;
        }
        lost::inode(scene, ino, lost::FILE)?;
        lost::keep(scene, ino, &format!("data-{owner}"))?;
    }
    Ok(())
}

fn beyond(scene: &mut Scene<'_>) -> Result<()> {
    let chunks = scene.numbers::<2>(
        concat!(
            "SELECT c.ino, c.chunk_index ",
            of_files!(),
            "(c.chunk_index < 0 OR c.chunk_index > (i.size - 1) / :chunk OR i.size = 0) ORDER BY c.ino, c.chunk_index"
        ),
        &[],
    )?;
    for of_one in chunks.chunk_by(|one, next| one[0] == next[0]) {
        let rest = Rest::of(scene, of_one[0][0])?;
        for (number, [ino, index]) in of_one.iter().enumerate() {
            let sql = "UPDATE fs_data SET ino = ?, chunk_index = ? WHERE ino = ? AND chunk_index = ?";
            scene.run(sql, &[rest.0.into(), (number as i64).into(), (*ino).into(), (*index).into()])?;
        }
        rest.measure(scene)?;
    }
    Ok(())
}

fn too_long(scene: &mut Scene<'_>) -> Result<()> {
    let chunks = scene.numbers::<3>(
        concat!(
            "SELECT c.ino, c.chunk_index, ",
            length!(),
            " ",
            of_files!(),
            "length(CAST(c.data AS BLOB)) > ",
            length!()
        ),
        &[],
    )?;
    for [ino, index, length] in chunks {
        let rest = Rest::of(scene, ino)?;
        let piece = "substr(CAST(data AS BLOB), ?1 + 1 + ?2 * :chunk, :chunk)";
        let mut number = 0i64;
        loop {
            let sql = format!(
                "INSERT INTO fs_data (ino, chunk_index, data) SELECT ?3, ?2, {piece} FROM fs_data \
                 WHERE ino = ?4 AND chunk_index = ?5 AND length({piece}) > 0"
            );
            if scene.run(&sql, &[length.into(), number.into(), rest.0.into(), ino.into(), index.into()])? == 0 {
                break;
            }
            number += 1;
        }
        rest.measure(scene)?;
        let sql = "UPDATE fs_data SET data = substr(CAST(data AS BLOB), 1, ?) WHERE ino = ? AND chunk_index = ?";
        scene.run(sql, &[length.into(), ino.into(), index.into()])?;
    }
    Ok(())
}

/// A file in lost+found for what another cannot hold.
struct Rest(i64);

impl Rest {
    fn of(scene: &mut Scene<'_>, ino: i64) -> Result<Self> {
        let rest = lost::new_number(scene)?;
        lost::inode(scene, rest, lost::FILE)?;
        lost::keep(scene, rest, &format!("rest-of-{ino}"))?;
        Ok(Self(rest))
    }

    fn measure(&self, scene: &mut Scene<'_>) -> Result<()> {
        let sql = "UPDATE fs_inode SET size = (SELECT max(chunk_index * :chunk + length(CAST(data AS BLOB))) \
                   FROM fs_data WHERE fs_data.ino = fs_inode.ino) WHERE ino = ?";
        scene.run(sql, &[self.0.into()])?;
        Ok(())
    }
}

fn too_short(scene: &mut Scene<'_>) -> Result<()> {
    let chunks = scene.numbers::<3>(
        concat!(
            "SELECT c.ino, c.chunk_index, ",
            length!(),
            " ",
            of_files!(),
            "length(CAST(c.data AS BLOB)) < ",
            length!()
        ),
        &[],
    )?;
    for [ino, index, length] in chunks {
        let sql = "UPDATE fs_data SET data = CAST(CAST(data AS BLOB) || zeroblob(?1 - length(CAST(data AS BLOB))) AS BLOB) \
                   WHERE ino = ?2 AND chunk_index = ?3";
        scene.run(sql, &[length.into(), ino.into(), index.into()])?;
    }
    Ok(())
}

/// Files whose holes are to be filled: larger ones stay sparse, as upstream's mount has them. What is absent is no hole.
fn holes(scene: &mut Scene<'_>) -> Result<Vec<[i64; 3]>> {
    let most = FILL_LIMIT as i64 / scene.chunk_size;
    let but = if scene.has("nixbox_absent") { "AND i.ino NOT IN (SELECT ino FROM nixbox_absent)" } else { "" };
    let sql = format!(
        "SELECT i.ino, i.size, (i.size + :chunk - 1) / :chunk - coalesce(c.stored, 0) AS missing FROM fs_inode AS i \
         LEFT JOIN (SELECT ino, count(*) AS stored FROM fs_data WHERE chunk_index >= 0 GROUP BY ino) AS c ON c.ino = i.ino \
         WHERE i.mode & 61440 = 32768 AND missing BETWEEN 1 AND ? {but}"
    );
    scene.numbers::<3>(&sql, &[most.into()])
}

fn fill(scene: &mut Scene<'_>) -> Result<()> {
    for [ino, size, _] in holes(scene)? {
        scene.run(
            "WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE (n + 1) * :chunk < ?2) \
             INSERT OR IGNORE INTO fs_data (ino, chunk_index, data) \
             SELECT ?1, n, zeroblob(min(:chunk, ?2 - n * :chunk)) FROM place",
            &[ino.into(), size.into()],
        )?;
    }
    Ok(())
}
