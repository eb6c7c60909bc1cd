//! What an instance has of its own over its base, as it can be said on another machine, where the base lies elsewhere
//! and may have other files: the database's own tree, and beside it what of the base is gone, what has other attributes,
//! which folders hide the base's, and what an entry has taken the place of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::database::{Database, Options};
use crate::error::Result;
use crate::files::Files;
use crate::filesystem::{Attr, FileSystem, Ino, Kind, ROOT, Time};
use crate::overlay::{self, Overlay, Touched};
use crate::store::{Store, first};

/// Of an open overlay, or of a plain database in which the layer of one is kept.
#[derive(Clone)]
pub struct Delta {
    files: Arc<Files>,
    overlay: Option<Arc<Overlay>>,
}

/// What the base had where an entry of the database is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beneath {
    pub size: u64,
    pub mtime: Time,
    /// Known of files that were copied up whole, or found out by [`Delta::learn`].
    pub hash: Option<String>,
}

/// What is said beside the tree. Paths are without the leading slash.
#[derive(Debug, Default)]
pub struct Notes {
    pub gone: BTreeSet<String>,
    pub touched: BTreeMap<String, Touched>,
    pub opaque: HashSet<Ino>,
    replaced: HashMap<Ino, (String, Beneath)>,
    copied: HashMap<Ino, (Copied, Beneath)>,
}

/// What was copied up, in the place where it was.
#[derive(Debug)]
struct Copied {
    base_ino: Ino,
    shown: Ino,
}

impl Delta {
    pub(crate) fn new(files: Arc<Files>, overlay: Option<Arc<Overlay>>) -> Self {
        Self { files, overlay }
    }

    /// Makes a plain database, where there is none, into one in which a layer is kept. It says nothing of any base, so
    /// upstream's programs see in it the files that the layer has.
    pub fn prepare(path: &Path) -> Result<()> {
        let database = Database::open_or_create(path, &Options::default())?;
        database.files().change_store(0, overlay::complete_layer)?;
        database.close()
    }

    /// The database's own entries. Over a base it is not to be changed.
    pub fn tree(&self) -> Arc<dyn FileSystem> {
        self.files.clone()
    }

    pub fn notes(&self) -> Result<Notes> {
        self.files.read_store(|store| {
            let mut notes = Notes::default();
            store.query("SELECT path FROM fs_whiteout", &[], &mut |row| {
                notes.gone.insert(row.text(0)?.trim_matches('/').to_owned());
                Ok(())
            })?;
            for (path, said) in Touched::all(store)? {
                notes.touched.insert(path.to_string_lossy().into_owned(), said);
            }
            store.query("SELECT ino FROM nixbox_opaque", &[], &mut |row| {
                notes.opaque.insert(row.int(0)? as Ino);
                Ok(())
            })?;
            notes.read_beneath(store)?;
            Ok(notes)
        })
    }

    /// What stands beneath the entry at `path`, and whether that is on record for this path.
    pub fn beneath(&self, notes: &Notes, ino: Ino, path: &str, kind: Kind) -> Result<Option<(Beneath, bool)>> {
        if let Some((at, beneath)) = notes.replaced.get(&ino)
            && at == path
        {
            return Ok(Some((beneath.clone(), true)));
        }
        let (Some((copied, beneath)), Some(overlay)) = (notes.copied.get(&ino), &self.overlay) else { return Ok(None) };
        // It may have been copied up at another path, and moved here since. The number is of a disk that may have
        // another number today.
        let is_there =
            |here: Attr| here.ino == copied.base_ino || (here.size, here.mtime) == (beneath.size, beneath.mtime);
        let is_from_here = overlay.number_was(Path::new(path), copied.base_ino, kind)? == copied.shown
            || overlay.below_at(Path::new(path))?.is_some_and(is_there);
        Ok(is_from_here.then(|| (beneath.clone(), false)))
    }

    /// Whether the view leaves out what is at a path.
    pub fn hides(&self, path: &str) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.hides(Path::new(path)))
    }

    /// The hash of what stands beneath an entry, where the base still has it.
    pub fn learn(&self, path: &str, beneath: &Beneath) -> Result<Option<String>> {
        let Some(overlay) = &self.overlay else { return Ok(None) };
        let is_still =
            |attr: &Attr| attr.kind == Kind::File && (attr.size, attr.mtime) == (beneath.size, beneath.mtime);
        let is_there = || Ok::<_, crate::Error>(overlay.below_at(Path::new(path))?.as_ref().is_some_and(is_still));
        if !is_there()? {
            return Ok(None);
        }
        let hash = overlay.hash_of_base(Path::new(path))?.to_hex().to_string();
        // Written to while it was read, it would be another file's.
        Ok(is_there()?.then_some(hash))
    }

    /// Puts on record for this path what stands beneath `ino` there, unless something else already is.
    pub fn keep(&self, ino: Ino, path: &str, beneath: &Beneath) -> Result<()> {
        if self.files.is_read_only() {
            return Ok(());
        }
        let (key, Beneath { size, mtime, hash }) = (format!("/{path}"), beneath);
        self.files.change_store(0, |store| {
            store.execute(
                "INSERT INTO nixbox_replaced (ino, path, base_ino, size, mtime, mtime_nsec, hash) \
                 SELECT ?1, ?2, 0, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM fs_inode WHERE ino = ?1) \
                 ON CONFLICT (ino) DO UPDATE SET hash = excluded.hash WHERE path = excluded.path AND hash IS NULL",
                &[
                    ino.into(),
                    key.as_str().into(),
                    (*size).into(),
                    mtime.sec.into(),
                    mtime.nsec.into(),
                    hash.as_deref().into(),
                ],
            )?;
            Ok(())
        })
    }

    /// What another machine's base had at a path, as it is known here: with this base's own times where that has the same.
    pub fn recognise(&self, path: &str, kind: Kind, beneath: &Beneath) -> Result<Beneath> {
        let Some(overlay) = &self.overlay else { return Ok(beneath.clone()) };
        let path = Path::new(path);
        let Some(here) = overlay.below_at(path)?.filter(|here| here.kind == kind) else { return Ok(beneath.clone()) };
        let same = match (&beneath.hash, kind) {
            (_, Kind::Directory) => true,
            (Some(hash), Kind::File) if here.size == beneath.size => {
                here.mtime == beneath.mtime || overlay.hash_of_base(path)?.to_hex().as_str() == hash
            }
            _ => false,
        };
        Ok(if same { Beneath { mtime: here.mtime, ..beneath.clone() } } else { beneath.clone() })
    }

    /// The folder at a path of the view, of the number `folder` there, is the database's from here on.
    pub fn raise(&self, folder: Ino) -> Result<()> {
        self.overlay.as_ref().map_or(Ok(()), |overlay| overlay.raise(folder))
    }

    /// The database has nothing at a path and says nothing of it: what a base has there shows.
    pub fn reveal(&self, path: &str) -> Result<()> {
        if let Some(overlay) = &self.overlay {
            return overlay.reveal(Path::new(path));
        }
        if let Some((parent, name, attr)) = self.entry(path)? {
            match attr.kind {
                Kind::Directory => self.files.rmdir(parent, name.as_ref())?,
                _ => self.files.unlink(parent, name.as_ref())?,
            }
        }
        self.files.change_store(0, |store| {
            for table in ["fs_whiteout", "nixbox_attr"] {
                let key = format!("/{path}");
                store.execute(&format!("DELETE FROM {table} WHERE path = ?"), &[key.as_str().into()])?;
            }
            Ok(())
        })
    }

    /// Nothing shows at a path, whatever a base has there. The database has nothing there any more.
    pub fn whiten(&self, path: &str) -> Result<()> {
        if let Some(overlay) = &self.overlay {
            return overlay.whiten(Path::new(path));
        }
        let key = format!("/{path}");
        let parent = key.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
        self.files.change_store(0, |store| {
            let sql = "INSERT OR REPLACE INTO fs_whiteout (path, parent_path, created_at) VALUES (?, ?, ?)";
            store.execute(sql, &[key.as_str().into(), parent.into(), Time::now().sec.into()])?;
            Ok(())
        })
    }

    pub fn set_opaque(&self, path: &str, opaque: bool) -> Result<()> {
        let Some((_, _, attr)) = self.entry(path)? else { return Ok(()) };
        if let Some(overlay) = &self.overlay {
            return overlay.set_opaque(attr.ino, Path::new(path), opaque);
        }
        let sql = match opaque {
            true => "INSERT OR IGNORE INTO nixbox_opaque (ino) VALUES (?)",
            false => "DELETE FROM nixbox_opaque WHERE ino = ?",
        };
        self.files.change_store(0, |store| store.execute(sql, &[attr.ino.into()]).map(drop))
    }

    pub fn set_touched(&self, path: &str, said: &Touched) -> Result<()> {
        match &self.overlay {
            Some(overlay) => overlay.set_touched(Path::new(path), said),
            None => self.files.change_store(0, |store| said.write(store, Path::new(path))),
        }
    }

    /// What the entry at a path has taken the place of, if it was not copied up there.
    pub fn replaced(&self, path: &str) -> Result<Option<Beneath>> {
        let Some((_, _, attr)) = self.entry(path)? else { return Ok(None) };
        let key = format!("/{path}");
        self.files.read_store(|store| {
            let sql = "SELECT ino, size, mtime, mtime_nsec, hash FROM nixbox_replaced WHERE ino = ? AND path = ?";
            first(store, sql, &[attr.ino.into(), key.as_str().into()], beneath)
        })
    }

    /// What the entry at a path has taken the place of; nothing where it was made anew.
    pub fn set_beneath(&self, path: &str, beneath: Option<&Beneath>) -> Result<()> {
        let Some((_, _, attr)) = self.entry(path)? else { return Ok(()) };
        let Some(Beneath { size, mtime, hash }) = beneath else {
            let sql = "DELETE FROM nixbox_replaced WHERE ino = ?";
            return self.files.change_store(0, |store| store.execute(sql, &[attr.ino.into()]).map(drop));
        };
        let key = format!("/{path}");
        self.files.change_store(0, |store| {
            store.execute(
                "INSERT OR REPLACE INTO nixbox_replaced (ino, path, base_ino, size, mtime, mtime_nsec, hash) \
                 VALUES (?, ?, 0, ?, ?, ?, ?)",
                &[
                    attr.ino.into(),
                    key.as_str().into(),
                    (*size).into(),
                    mtime.sec.into(),
                    mtime.nsec.into(),
                    hash.as_deref().into(),
                ],
            )?;
            Ok(())
        })
    }

    /// What the database has at a path, and where.
    fn entry<'p>(&self, path: &'p str) -> Result<Option<(Ino, &'p str, Attr)>> {
        self.files.read_tree(|tree| {
            let mut at = None;
            for name in path.split('/') {
                let parent = at.map_or(ROOT, |(_, _, attr): (Ino, &str, Attr)| attr.ino);
                match tree.child(parent, name)? {
                    Some(attr) => at = Some((parent, name, attr)),
                    None => return Ok(None),
                }
            }
            Ok(at)
        })
    }
}

impl Notes {
    fn read_beneath(&mut self, store: &mut dyn Store) -> Result<()> {
        store.query("SELECT ino, size, mtime, mtime_nsec, hash, path FROM nixbox_replaced", &[], &mut |row| {
            self.replaced.insert(row.int(0)? as Ino, (row.text(5)?.trim_matches('/').to_owned(), beneath(row)?));
            Ok(())
        })?;
        let ours = "SELECT 1 FROM sqlite_master WHERE name = 'nixbox_origin'";
        if first(store, ours, &[], |_| Ok(()))?.is_none() {
            return Ok(());
        }
        let sql = "SELECT ino, size, mtime, mtime_nsec, hash, base_ino, shown FROM nixbox_origin";
        store.query(sql, &[], &mut |row| {
            let copied = Copied { base_ino: row.int(5)? as Ino, shown: row.int(6)? as Ino };
            self.copied.insert(row.int(0)? as Ino, (copied, beneath(row)?));
            Ok(())
        })
    }
}

fn beneath(row: &dyn crate::store::Row) -> Result<Beneath> {
    let hash = if row.is_null(4) { None } else { Some(row.text(4)?.to_owned()) };
    let mtime = Time { sec: row.int(2)?, nsec: row.int(3)? as u32 };
    Ok(Beneath { size: row.int(1)? as u64, mtime, hash })
}
