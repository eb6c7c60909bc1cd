//! Modes, owners and times that entries of the base have in the view alone. A change of these copies nothing: a table
//! of our own holds them by path, and upstream's programs go on seeing the base's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::below;
use super::whiteouts::key;
use super::{Overlay, shape};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, AttrChange, Ino, Kind, Time, TimeChange};
use crate::store::{Row, Store};

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS nixbox_attr (path TEXT PRIMARY KEY, kind TEXT NOT NULL, \
     perm INTEGER, uid INTEGER, gid INTEGER, atime INTEGER, atime_nsec INTEGER, mtime INTEGER, mtime_nsec INTEGER, \
     ctime INTEGER NOT NULL, ctime_nsec INTEGER NOT NULL, base_size INTEGER NOT NULL, base_mtime INTEGER NOT NULL, \
     base_mtime_nsec INTEGER NOT NULL)";

/// What one entry of the base has of its own in the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    kind: Kind,
    perm: Option<u16>,
    uid: Option<u32>,
    gid: Option<u32>,
    atime: Option<Time>,
    mtime: Option<Time>,
    ctime: Time,
    /// What the base's was like then: of other content the times say nothing.
    size: u64,
    base_mtime: Time,
}

/// What is said of one entry of the base in a table, on whatever machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    pub kind: Kind,
    pub perm: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
    /// Of the base's file then.
    pub size: u64,
    pub base_mtime: Time,
}

impl Touched {
    /// All that a database says, by path from the root, without the leading slash.
    pub(crate) fn all(store: &mut dyn Store) -> Result<BTreeMap<PathBuf, Self>> {
        Ok(Attrs::load(store)?.0.into_iter().map(|(path, own)| (path, own.said())).collect())
    }

    /// Writes it down where no base is.
    pub(crate) fn write(&self, store: &mut dyn Store, path: &Path) -> Result<()> {
        Own::received(self, None).write(store, path)
    }
}

/// By path in the base.
#[derive(Debug, Default, Clone)]
pub(super) struct Attrs(BTreeMap<PathBuf, Own>);

impl Own {
    /// `before`: what was there of it; `base`: as the base has it.
    pub fn changed(before: Option<&Self>, base: &Attr, change: AttrChange) -> Self {
        let now = Time::now();
        let former = before.filter(|own| own.kind == base.kind);
        let times = former.filter(|own| own.is_of(base));
        let time = |change: Option<TimeChange>, former: Option<Time>| match change {
            Some(TimeChange::Now) => Some(now),
            Some(TimeChange::At(at)) => Some(at),
            None => former,
        };
        Self {
            kind: base.kind,
            perm: change.perm.map(|perm| perm & 0o7777).or(former.and_then(|own| own.perm)),
            uid: change.uid.or(former.and_then(|own| own.uid)),
            gid: change.gid.or(former.and_then(|own| own.gid)),
            atime: time(change.atime, times.and_then(|own| own.atime)),
            mtime: time(change.mtime, times.and_then(|own| own.mtime)),
            ctime: now,
            size: base.size,
            base_mtime: base.mtime,
        }
    }

    /// As it was said on another machine. `here`: what this one's base has at the path; of other content than what was
    /// meant, what is said stays as it was said.
    pub fn received(said: &Touched, here: Option<&Attr>) -> Self {
        let here = here.filter(|base| base.kind == said.kind && (base.kind != Kind::File || base.size == said.size));
        let (size, base_mtime) = here.map_or((said.size, said.base_mtime), |base| (base.size, base.mtime));
        let Touched { kind, perm, uid, gid, mtime, .. } = *said;
        Self { kind, perm, uid, gid, atime: None, mtime, ctime: Time::now(), size, base_mtime }
    }

    fn said(&self) -> Touched {
        let Self { kind, perm, uid, gid, mtime, size, base_mtime, .. } = *self;
        // A folder's size and times are its disk's business.
        let (mtime, size) = if kind == Kind::Directory { (None, 0) } else { (mtime, size) };
        Touched { kind, perm, uid, gid, mtime, size, base_mtime }
    }

    fn is_of(&self, base: &Attr) -> bool {
        (self.size, self.base_mtime) == (base.size, base.mtime)
    }

    fn over(&self, base: Attr) -> Attr {
        if self.kind != base.kind {
            return base;
        }
        let times = self.is_of(&base);
        Attr {
            perm: self.perm.unwrap_or(base.perm),
            uid: self.uid.unwrap_or(base.uid),
            gid: self.gid.unwrap_or(base.gid),
            atime: self.atime.filter(|_| times).unwrap_or(base.atime),
            mtime: self.mtime.filter(|_| times).unwrap_or(base.mtime),
            ctime: self.ctime.max(base.ctime),
            ..base
        }
    }

    pub fn write(&self, store: &mut dyn Store, path: &Path) -> Result<()> {
        let (atime, mtime) = (self.atime, self.mtime);
        store.execute(
            "INSERT OR REPLACE INTO nixbox_attr (path, kind, perm, uid, gid, atime, atime_nsec, mtime, mtime_nsec, \
             ctime, ctime_nsec, base_size, base_mtime, base_mtime_nsec) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                key(path)?.as_str().into(),
                word(self.kind).into(),
                self.perm.map(u32::from).into(),
                self.uid.into(),
                self.gid.into(),
                atime.map(|time| time.sec).into(),
                atime.map(|time| time.nsec).into(),
                mtime.map(|time| time.sec).into(),
                mtime.map(|time| time.nsec).into(),
                self.ctime.sec.into(),
                self.ctime.nsec.into(),
                self.size.into(),
                self.base_mtime.sec.into(),
                self.base_mtime.nsec.into(),
            ],
        )?;
        Ok(())
    }

    fn read(row: &dyn Row) -> Result<Option<Self>> {
        let number = |column| if row.is_null(column) { Ok(None) } else { row.int(column).map(Some) };
        let time = |column| -> Result<Option<Time>> {
            Ok(number(column)?.zip(number(column + 1)?).map(|(sec, nsec)| Time { sec, nsec: nsec as u32 }))
        };
        let Some(kind) = KINDS.iter().copied().find(|kind| row.text(1).is_ok_and(|text| text == word(*kind))) else {
            return Ok(None);
        };
        let always = |column| time(column).map(Option::unwrap_or_default);
        Ok(Some(Self {
            kind,
            perm: number(2)?.map(|perm| (perm & 0o7777) as u16),
            uid: number(3)?.map(|uid| uid as u32),
            gid: number(4)?.map(|gid| gid as u32),
            atime: time(5)?,
            mtime: time(7)?,
            ctime: always(9)?,
            size: row.int(11)? as u64,
            base_mtime: always(12)?,
        }))
    }
}

impl Attrs {
    pub fn load(store: &mut dyn Store) -> Result<Self> {
        let mut attrs = Self::default();
        let sql = "SELECT path, kind, perm, uid, gid, atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec, \
                   base_size, base_mtime, base_mtime_nsec FROM nixbox_attr";
        store.query(sql, &[], &mut |row| {
            if let Some(own) = Own::read(row)? {
                attrs.set(Path::new(row.text(0)?.trim_matches('/')).to_owned(), own);
            }
            Ok(())
        })?;
        Ok(attrs)
    }

    pub fn get(&self, path: &Path) -> Option<&Own> {
        self.0.get(path)
    }

    pub fn set(&mut self, path: PathBuf, own: Own) {
        self.0.insert(path, own);
    }

    /// As the view shows what the base has.
    pub fn apply(&self, path: &Path, base: Attr) -> Attr {
        self.get(path).map_or(base, |own| own.over(base))
    }

    /// Whether something at a path or below it has any.
    pub fn within(&self, path: &Path) -> bool {
        self.at_and_below(path).next().is_some()
    }

    fn at_and_below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        let from = (Bound::Included(path), Bound::Unbounded);
        self.0.range::<Path, _>(from).map(|(at, _)| at).take_while(move |at| at.starts_with(path))
    }

    /// The names in a folder that have any, or in which something has.
    pub fn names_in(&self, folder: &Path) -> BTreeSet<OsString> {
        below::names_in(folder, |from| self.0.range::<Path, _>((from, Bound::Unbounded)).map(|(at, _)| at).next())
    }

    /// Whether others have changed the base's file since these were set.
    pub fn is_outdated(&self, path: &Path, base: &Attr) -> bool {
        base.kind == Kind::File && self.get(path).is_some_and(|own| !own.is_of(base))
    }

    pub fn forget(&mut self, gone: &Gone) {
        match gone {
            Gone::One(path) => drop(self.0.remove(path)),
            Gone::Within(path) => {
                for at in self.at_and_below(path).cloned().collect::<Vec<_>>() {
                    self.0.remove(&at);
                }
            }
        }
    }
}

impl Overlay {
    /// Changes attributes of what is the base's alone; `None` of anything else.
    pub(super) fn touch(&self, number: Ino, change: AttrChange) -> Result<Option<Attr>> {
        let mut state = self.state();
        let Some(node) = state.nodes.get(number) else { return Ok(None) };
        let (None, Some(below)) = (node.delta, &node.below) else { return Ok(None) };
        let path = below.path.clone();
        let stat = self.base.stat(&path)?.filter(|stat| stat.id == below.id).ok_or(Error::Errno(libc::ESTALE))?;
        let own = Own::changed(state.attrs.get(&path), &stat.attr, change);
        self.files.grow_tree(0, |tree| own.write(tree.store, &path))?;
        state.attrs.set(path.to_path_buf(), own);
        Ok(Some(shape(own.over(stat.attr), number, true)))
    }
}

/// Paths of which there is nothing more to say.
#[derive(Debug)]
pub(super) enum Gone {
    One(PathBuf),
    Within(PathBuf),
}

impl Gone {
    pub fn delete(&self, store: &mut dyn Store) -> Result<()> {
        match self {
            Self::One(path) => {
                store.execute("DELETE FROM nixbox_attr WHERE path = ?", &[key(path)?.as_str().into()])?;
            }
            // Every path below begins with the slash, and `0` is the character that follows it.
            Self::Within(path) => {
                let sql = "DELETE FROM nixbox_attr WHERE path = ?1 OR (path > ?1 || '/' AND path < ?1 || '0')";
                store.execute(sql, &[key(path)?.as_str().into()])?;
            }
        }
        Ok(())
    }
}

const KINDS: [Kind; 7] =
    [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice];

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "folder",
        Kind::Symlink => "link",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char-device",
        Kind::BlockDevice => "block-device",
    }
}
