//! A side as it is: the look of everything in it. Content is read only where it is not known already.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nixbox_engine::{Attr, Entry, FileSystem, Ino, Kind, Kv, Missing, ROOT};

use crate::company::{Company, Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::look::{Key, Look, Mark, What, pair};

const PIECE: u32 = 1 << 20;
/// After so many entries it is told how far it is.
const OFTEN: usize = 512;
/// Deeper trees than any path can name go in a circle.
const DEEPEST: usize = 4096;

pub(crate) type Looks = BTreeMap<Key, Look>;

#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) looks: Looks,
    /// Of all that has an inode.
    pub(crate) marks: BTreeMap<Key, Mark>,
}

/// The hashes of content that has been read before.
pub(crate) type Known = HashMap<Mark, String>;

/// Files whose content is not here, and what it is.
pub(crate) type AllMissing = BTreeMap<Ino, Missing>;

/// What is known of content without reading it.
#[derive(Clone, Copy)]
pub(crate) struct Hashes<'a> {
    /// That of files which are not here.
    pub(crate) absent: &'a AllMissing,
    pub(crate) known: &'a [&'a Known],
    /// What the remote says of its own, by inode.
    pub(crate) said: &'a BTreeMap<i64, String>,
}

impl Hashes<'_> {
    fn of(&self, mark: &Mark) -> Option<&String> {
        let absent = self.absent.get(&mark.ino).map(|missing| &missing.hash);
        absent
            .or_else(|| self.known.iter().find_map(|known| known.get(mark)))
            .or_else(|| self.said.get(&(mark.ino as i64)))
    }
}

/// Nobody must change the tree meanwhile, in which what has a name is found by its number.
pub(crate) fn scan(tree: &Arc<dyn FileSystem>, kv: &Kv, hashes: Hashes<'_>, company: &dyn Company) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut folders = vec![(String::new(), ROOT)];
    // Of files that have several.
    let mut names: BTreeMap<Ino, Vec<Key>> = BTreeMap::new();
    while let Some((above, folder)) = folders.pop() {
        if above.bytes().filter(|byte| *byte == b'/').count() > DEEPEST {
            return Err(nixbox_engine::Error::Errno(libc::ELOOP).into());
        }
        for (nth, Entry { name, attr }) in tree.readdir(folder)?.into_iter().enumerate() {
            if nth % OFTEN == 0 {
                go_on(company, Progress { things: scan.looks.len() as u64, ..Progress::at(Phase::Comparing) })?;
            }
            let name = name.to_str().ok_or(nixbox_engine::Error::Errno(libc::EILSEQ))?;
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let mark = Mark::of(&attr);
            let look = look_of(&**tree, &attr, hashes.of(&mark), company)?;
            let key = Key::File(path.clone());
            match attr.kind {
                Kind::Directory => folders.push((path, attr.ino)),
                Kind::File if attr.nlink > 1 => names.entry(attr.ino).or_default().push(key.clone()),
                _ => {}
            }
            scan.marks.insert(key.clone(), mark);
            scan.looks.insert(key, look);
        }
    }
    join_names(&mut scan, names);
    let mut after = None;
    loop {
        let page = kv.page("", after.as_deref())?;
        for entry in &page {
            scan.looks.insert(Key::Value(entry.key.clone()), Look::of_value(&entry.value));
        }
        match page.last() {
            Some(last) => after = Some(last.key.clone()),
            None => return Ok(scan),
        }
    }
}

/// Of several names of one file, all but the first say which that is.
fn join_names(scan: &mut Scan, names: BTreeMap<Ino, Vec<Key>>) {
    for mut names in names.into_values() {
        names.sort();
        let mut names = names.into_iter();
        let Some(Key::File(first)) = names.next() else { continue };
        for name in names {
            scan.looks.insert(name, Look::bare(What::Same { first: first.clone() }));
        }
    }
}

fn look_of(tree: &dyn FileSystem, attr: &Attr, hash: Option<&String>, company: &dyn Company) -> Result<Look> {
    let what = match attr.kind {
        Kind::Directory => What::Folder,
        Kind::File => {
            let hash = match hash {
                Some(hash) => hash.clone(),
                None => hash_of(tree, attr, company)?,
            };
            What::File { size: attr.size, hash }
        }
        Kind::Symlink => What::Link { target: tree.readlink(attr.ino)?.to_string_lossy().into_owned() },
        Kind::Fifo => What::Fifo,
        Kind::Socket => What::Socket,
        Kind::CharDevice => What::CharDevice { rdev: attr.rdev },
        Kind::BlockDevice => What::BlockDevice { rdev: attr.rdev },
    };
    // Whatever is put into a folder changes its time.
    let mtime = if attr.kind == Kind::Directory { (0, 0) } else { pair(attr.mtime) };
    Ok(Look { perm: attr.perm, uid: attr.uid, gid: attr.gid, mtime, what, over: None })
}

fn hash_of(tree: &dyn FileSystem, attr: &Attr, company: &dyn Company) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < attr.size {
        if company.is_called_off() {
            return Err(Error::CalledOff);
        }
        let piece = tree.read(attr.ino, offset, PIECE)?;
        if piece.is_empty() {
            return Err(Error::Moved);
        }
        hasher.update(&piece);
        offset += piece.len() as u64;
    }
    Ok(hasher.finalize().to_hex().to_string())
}
