//! Frozen copies of an instance's database, beside it: each a whole database under the name of its moment, and a note of
//! what it was made before. Made by themselves where something that was changed would give way, so there are only so
//! many: the oldest goes when a new one is whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nixbox_control::Snapshot;
use nixbox_engine::Snapshots;
use nixbox_report::{Failure, Report, codes};

use crate::failure;
use crate::moment;

/// How many are kept.
const KEPT: usize = 5;

pub(crate) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// `folder`: the instance's own.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { folder: folder.join("snapshots") }
    }

    /// The database as it is now, on disk when this returns. `before`: what it is that it is kept from.
    pub(crate) fn keep(&self, database: &Snapshots, before: &str) -> Result<Snapshot, Report> {
        let failed = |error: io::Error| Report::from(failure::io(&self.folder, &error));
        nixbox_state::create_private_dir(&self.folder).map_err(failed)?;
        self.sweep().map_err(failed)?;
        let at = moment::now();
        let id = self.free_id(at).map_err(failed)?;
        let (copy, part) = (self.copy(&id), self.folder.join(format!(".{id}.part")));
        database.copy_to(&part).map_err(|error| match error {
            nixbox_engine::Error::Io(error) => failure::io(&part, &error).into(),
            error => failure::working(error),
        })?;
        let kept = (|| {
            let file = File::open(&part)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.sync_all()?;
            let kept = Snapshot { id, at, before: before.to_owned(), bytes: file.metadata()?.len() };
            // The copy's name comes last: a note without a copy is nothing.
            nixbox_state::write_json(&self.note(&kept.id), &kept, 0o600)?;
            fs::rename(&part, &copy)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(kept)
        })();
        if kept.is_err() {
            let _ = fs::remove_file(&part);
        }
        let kept: Snapshot = kept.map_err(failed)?;
        tracing::info!(snapshot = kept.id, before, bytes = kept.bytes, "kept a snapshot");
        for old in self.all().map_err(failed)?.into_iter().skip(KEPT) {
            // With its note it would come back as nothing but a name.
            let gone = fs::remove_file(self.note(&old.id)).and_then(|()| fs::remove_file(self.copy(&old.id)));
            gone.map_err(failed)?;
        }
        Ok(kept)
    }

    /// Newest first.
    pub(crate) fn all(&self) -> io::Result<Vec<Snapshot>> {
        let mut all = Vec::new();
        for name in self.names()? {
            let Some(id) = name.strip_suffix(".json") else { continue };
            // What cannot be read is none of ours.
            if let Ok(Some(kept)) = nixbox_state::read_json::<Snapshot>(&self.note(id))
                && kept.id == id
                && self.copy(id).is_file()
            {
                all.push(kept);
            }
        }
        all.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        Ok(all)
    }

    /// The copy of that name, which may be shortened to how it begins.
    pub(crate) fn find(&self, id: &str) -> Result<(PathBuf, Snapshot), Report> {
        let all = self.all().map_err(|error| failure::io(&self.folder, &error))?;
        let mut found: Vec<_> = all.iter().filter(|kept| kept.id == id).collect();
        if found.is_empty() && !id.is_empty() {
            found = all.iter().filter(|kept| kept.id.starts_with(id)).collect();
        }
        match found.as_slice() {
            [only] => Ok((self.copy(&only.id), (*only).clone())),
            several => {
                let why = match several.len() {
                    0 => format!("there are {} of it", all.len()),
                    _ => format!("{} begin so", several.len()),
                };
                Err(Failure::new(&codes::SNAPSHOT_UNKNOWN, format!("no snapshot is called `{id}`"))
                    .why(why)
                    .help("`nixbox-helper snapshot ls` shows them")
                    .into())
            }
        }
    }

    fn copy(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.db"))
    }

    fn note(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        match fs::read_dir(&self.folder) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What one that was killed has left.
    fn sweep(&self) -> io::Result<()> {
        for name in self.names()? {
            let left = match name.strip_suffix(".json") {
                Some(id) => !self.copy(id).exists(),
                None => name.starts_with('.') && name.ends_with(".part"),
            };
            if left {
                fs::remove_file(self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// `20261121T054312Z`, and a number where there is one of that second: one that none had, also where the first are gone.
    fn free_id(&self, at: u64) -> io::Result<String> {
        let digits: String = moment::utc(at).chars().filter(char::is_ascii_digit).collect();
        let (day, time) = digits.split_at(digits.len().min(8));
        let id = format!("{day}T{time}Z");
        let names = self.names()?;
        let same = names.iter().filter_map(|name| name.strip_suffix(".db")?.strip_prefix(id.as_str()));
        let last =
            same.filter_map(|rest| if rest.is_empty() { Some(1) } else { rest.strip_prefix('-')?.parse::<u32>().ok() });
        Ok(last.max().map_or(id.clone(), |last| format!("{id}-{}", last + 1)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nixbox_engine::{Database, Options};

    #[test]
    fn only_so_many_are_kept_and_what_a_killed_one_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
        let shelf = Shelf::of(&dir.path().join("a.d"));
        assert!(shelf.all().unwrap().is_empty());
        let ids: Vec<_> = (0..KEPT + 2).map(|_| shelf.keep(&database.snapshots(), "sync").unwrap().id).collect();
        let kept: Vec<_> = shelf.all().unwrap().into_iter().map(|kept| kept.id).collect();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.first(), ids.last());
        assert!(!kept.contains(&ids[0]) && !kept.contains(&ids[1]));
        let folder = dir.path().join("a.d/snapshots");
        fs::write(folder.join(".20200101T000000Z.part"), "half").unwrap();
        fs::remove_file(folder.join(format!("{}.db", kept[1]))).unwrap();
        shelf.keep(&database.snapshots(), "sync").unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2 * KEPT);
        assert!(shelf.find("").is_err() && shelf.find("2").is_err());
        assert_eq!(shelf.find(&kept[0]).unwrap().1.before, "sync");
    }
}
