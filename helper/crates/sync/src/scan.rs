//! A side as it is: the look of everything in it. Content is read only where it is not known already.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::sync::Arc;

use nixbox_engine::{Attr, ByPath, Caller, FileSystem, Ino, Kind, Kv, Missing};

use crate::company::{Company, Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::look::{Key, Look, Mark, What, pair};

const PIECE: u32 = 1 << 20;
const PAGE: usize = 512;

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

/// Nobody must change the tree meanwhile.
pub(crate) fn scan(
    tree: &Arc<dyn FileSystem>,
    kv: &Kv,
    absent: &AllMissing,
    known: &Known,
    company: &dyn Company,
) -> Result<Scan> {
    let by_path = ByPath::new(tree.clone(), Arc::new(()), Caller { uid: 0, gid: 0 });
    let mut walk = by_path.list(OsStr::new("/"), true)?;
    let mut scan = Scan::default();
    loop {
        let page = walk.next(PAGE, |_| true)?;
        if page.is_empty() {
            break;
        }
        let seen = Progress { things: scan.looks.len() as u64, ..Progress::at(Phase::Comparing) };
        go_on(company, seen)?;
        for found in page {
            let path = found.path.to_str().ok_or(nixbox_engine::Error::Errno(libc::EILSEQ))?.to_owned();
            let target = found.target.map(|target| target.to_string_lossy().into_owned());
            let mark = Mark::of(&found.attr);
            let hash = absent.get(&found.attr.ino).map(|missing| &missing.hash).or_else(|| known.get(&mark));
            let look = look_of(&**tree, &found.attr, target, hash, company)?;
            scan.marks.insert(Key::File(path.clone()), mark);
            scan.looks.insert(Key::File(path), look);
        }
    }
    join_names(&mut scan, tree)?;
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
fn join_names(scan: &mut Scan, tree: &Arc<dyn FileSystem>) -> Result<()> {
    let mut firsts: HashMap<Ino, String> = HashMap::new();
    for (key, mark) in &scan.marks {
        let (Key::File(path), Some(look)) = (key, scan.looks.get_mut(key)) else { continue };
        if !matches!(look.what, What::File { .. }) || tree.getattr(mark.ino)?.nlink < 2 {
            continue;
        }
        match firsts.get(&mark.ino) {
            Some(first) => {
                *look = Look::bare(What::Same { first: first.clone() });
            }
            None => drop(firsts.insert(mark.ino, path.clone())),
        }
    }
    Ok(())
}

fn look_of(
    tree: &dyn FileSystem,
    attr: &Attr,
    target: Option<String>,
    hash: Option<&String>,
    company: &dyn Company,
) -> Result<Look> {
    let what = match attr.kind {
        Kind::Directory => What::Folder,
        Kind::File => {
            let hash = match hash {
                Some(hash) => hash.clone(),
                None => hash_of(tree, attr, company)?,
            };
            What::File { size: attr.size, hash }
        }
        Kind::Symlink => What::Link { target: target.unwrap_or_default() },
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
