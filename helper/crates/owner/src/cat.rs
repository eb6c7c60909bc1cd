//! `cat NAME PATH`: one file's bytes, straight out of the database. A request of its own, under the same lock that
//! an owner holds, for whoever wants to look without mounting.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Component, Path};

use nixbox_engine::{Attr, Database, FileSystem, Kind, Options, ROOT};
use nixbox_report::{Failure, Report, codes};

use crate::failure;
use crate::held;
use crate::moment;
use crate::plan::Plan;

const PIECE: u32 = 256 * 1024;

pub(crate) fn run(plan: &Plan, path: &Path) -> Result<(), Report> {
    let db = &plan.instance.paths.db;
    // Looking at something must not be what makes it.
    if !db.exists() {
        return Err(Failure::new(&codes::DATABASE_MISSING, format!("{} does not exist", db.display()))
            .why(format_args!("instance `{}` was never brought up", plan.instance.name))
            .help(format!("create it with `nixbox-helper init {}`", plan.instance.name))
            .into());
    }
    let lock = held::take(&plan.instance, moment::now(), None)?;
    let options = Options { base: plan.base(), ..Options::default() };
    let database = Database::open_or_create(db, &options).map_err(|error| failure::database(db, error))?;
    let printed = print(&*database.tree(), path, &mut io::stdout().lock());
    let closed = database.close().map_err(|error| failure::database(db, error));
    drop(lock);
    printed?;
    Ok(closed?)
}

fn print(files: &dyn FileSystem, path: &Path, out: &mut dyn Write) -> Result<(), Report> {
    let file = find(files, path)?;
    if file.kind != Kind::File {
        return Err(Failure::new(&codes::FILE_KIND, format!("{} is no regular file", path.display()))
            .help("name a file; links are not followed")
            .into());
    }
    let unreadable =
        |error| Failure::new(&codes::DATABASE_FAILED, format!("{} cannot be read", path.display())).why(error);
    let mut offset = 0;
    while offset < file.size {
        let piece = files.read(file.ino, offset, PIECE).map_err(|error| unreadable(error.to_string()))?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        match out.write_all(&piece) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            done => done?,
        }
    }
    Ok(out.flush()?)
}

fn find(files: &dyn FileSystem, path: &Path) -> Result<Attr, Report> {
    let missing = |error: &dyn std::fmt::Display| {
        Report::from(
            Failure::new(&codes::FILE_MISSING, format!("{} is not in the database", path.display())).why(error),
        )
    };
    let mut at = files.getattr(ROOT).map_err(|error| missing(&error))?;
    for part in path.components() {
        let name: &OsStr = match part {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => name,
            Component::ParentDir | Component::Prefix(_) => return Err(missing(&"the path must not go up")),
        };
        at = files.lookup(at.ino, name).map_err(|error| missing(&error))?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nixbox_engine::{Caller, NewNode};

    #[test]
    fn a_file_comes_out_as_it_went_in_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
        let files = database.files();
        let node = |kind| NewNode { kind, perm: 0o644, rdev: 0, caller: Caller { uid: 0, gid: 0 } };
        let folder = files.create(ROOT, OsStr::new("d"), node(Kind::Directory)).unwrap();
        let file = files.create(folder.ino, OsStr::new("f"), node(Kind::File)).unwrap();
        let bytes: Vec<u8> = (0..PIECE * 2 + 7).map(|i| i as u8).collect();
        files.write(file.ino, 0, &bytes).unwrap();

        let cat = |path: &str| {
            let mut out = Vec::new();
            print(&*files, Path::new(path), &mut out).map(|()| out)
        };
        assert!(cat("/d/f").unwrap() == bytes);
        assert!(cat("d/./f").unwrap() == bytes);
        let code = |path: &str| cat(path).unwrap_err().failures[0].code;
        assert_eq!(code("/d"), &codes::FILE_KIND);
        assert_eq!(code("/d/g"), &codes::FILE_MISSING);
        assert_eq!(code("/d/f/x"), &codes::FILE_MISSING);
        assert_eq!(code("/d/../d/f"), &codes::FILE_MISSING);
        database.close().unwrap();
    }
}
