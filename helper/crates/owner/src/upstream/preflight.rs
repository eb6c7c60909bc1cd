//! What upstream's program would only find out when it is too late.

use std::path::{Path, PathBuf};

use nixbox_config::Instance;
use nixbox_engine::Database;
use nixbox_report::{Failure, Report, codes};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Order;
use crate::failure;

/// What it needs beside those of its base.
const DESCRIPTORS_OF_ITS_OWN: u64 = 256;

/// Opens the database as every owner does, which makes it where it is missing, with tables that are whole, and refuses
/// one that is in use, of something else, over another base, encrypted or old: upstream's program fails on some of
/// these after it has mounted, and makes others its own. Answers where it is.
pub(super) fn database(order: &Order) -> Result<PathBuf, Report> {
    let db = &order.instance.paths.db;
    let failed = |error| Report::from(failure::database(db, error));
    let database = Database::open_or_create(db, &order.options).map_err(failed)?;
    let path = database.path().to_owned();
    let reuses = database.reuses_inode_numbers();
    database.close().map_err(failed)?;
    // Its own `init` makes such databases. Without a base it does no harm.
    if order.instance.base.is_some() && reuses {
        return Err(Failure::new(&codes::UPSTREAM_NUMBERS, format!("{} would use inode numbers again", path.display()))
            .why("its table `fs_inode` has lost AUTOINCREMENT, and `agentfs` over a base then shows files in folders that are none")
            .help(format!(
                "mend it with `nixbox-helper migrate {}`, which keeps a copy, or set `engine = \"builtin\"`",
                order.instance.name
            ))
            .into());
    }
    Ok(path)
}

/// Over a base it keeps a descriptor for each entry that it has ever seen, and with the last one fails at everything.
pub(super) fn descriptors(instance: &Instance) -> Result<(), Report> {
    let Some(base) = &instance.base else { return Ok(()) };
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The program inherits it. This owner was started with the lower one and can live with it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let Some(limit) = maximum else { return Ok(()) };
    let room = limit.saturating_sub(DESCRIPTORS_OF_ITS_OWN);
    let entries = entries(&base.path, room);
    if entries <= room {
        return Ok(());
    }
    Err(Failure::new(
        &codes::UPSTREAM_BASE,
        format!("the base {} has too many entries for `agentfs`", base.path.display()),
    )
    .why(format_args!("it keeps a descriptor for each, and may have {limit}; there are more than {room}"))
    .help("raise the hard limit of open files (`ulimit -Hn`), or set `engine = \"builtin\"`")
    .into())
}

/// How many entries there are, no further than one more than `most`.
fn entries(base: &Path, most: u64) -> u64 {
    let (mut count, mut folders) = (0, vec![base.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            count += 1;
            if count > most {
                return count;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    count
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_no_further_than_asked() {
        let base = tempfile::tempdir().unwrap();
        for folder in ["a", "b/c"] {
            std::fs::create_dir_all(base.path().join(folder)).unwrap();
        }
        for number in 0..10 {
            std::fs::write(base.path().join(format!("b/c/{number}")), "").unwrap();
        }
        // A link is an entry, and is not gone through.
        std::os::unix::fs::symlink("..", base.path().join("b/up")).unwrap();
        assert_eq!(entries(base.path(), 100), 14);
        assert_eq!(entries(base.path(), 5), 6);
    }
}
