//! The instance as it was at one moment: a copy of its database is taken first, and told from then on, however long the
//! other side takes. What shows of a base is read from that as it goes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nixbox_archive::{Entry, Kind as Packed, Pack};
use nixbox_control::{ExportForm, Name};
use nixbox_engine::{Backing, ByPath, Database, Kind, Links, Look, Options, Picked, Taken};
use nixbox_report::{Failure, Report, codes};
use serde_json::json;

use super::super::super::talk::{Ended, Talk};
use super::super::{PIECE, Told, failed};
use super::pipe::{Outward, Piece, pipe};
use super::{Broken, ended};
use crate::desk::{Open, Request};
use crate::failure;

pub(crate) async fn export(path: Name, form: ExportForm, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    let (sender, mut pieces) = pipe();
    let work = request.aside(move |open| tell(open, &path, form, Outward::new(sender)));
    let mut begun = false;
    let mut bytes = 0u64;
    let mut whole = false;
    while let Some(piece) = pieces.recv().await {
        if !std::mem::replace(&mut begun, true) {
            talk.begin_body().await?;
        }
        match piece {
            Piece::Bytes(piece) => {
                bytes += piece.len() as u64;
                talk.send(&piece, request.stop()).await?;
            }
            Piece::End => whole = true,
        }
    }
    match ended(work).await? {
        Ok(entries) if whole => Ok(Told::Body(json!({ "bytes": bytes, "entries": entries }))),
        Err(Broken::Report(report)) => Err(report.into()),
        _ => Err(Ended::Peer(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Answers how many entries there were.
fn tell(open: &Open, path: &Name, form: ExportForm, mut to: Outward) -> Result<u64, Broken> {
    open.files.settle();
    let copy = Copy::named(&open.folder)?;
    let snapshot = |error| Broken::from(snapshot_failed(&copy.path, error));
    if form == ExportForm::Database {
        // Other programs know no absent content, and take it for zeroes.
        let absent: Vec<_> = open.local.absent.all().map_err(failure::working)?.into_keys().collect();
        open.local.absent.load(&absent, &mut |_| true).map_err(failure::working)?;
        open.snapshots.copy_to(&copy.path).map_err(snapshot)?;
        send_file(&copy.path, to)?;
        return Ok(0);
    }
    let taken = open.snapshots.take(&copy.path).map_err(snapshot)?;
    let tree = ByPath::new(taken.tree(), Arc::new(()), open.caller);
    let top = tree.stat(path.as_os_str(), Links::Follow).map_err(|error| failed(path, error))?;
    if top.attr.kind != Kind::Directory {
        return Err(failed(path, nixbox_engine::Error::Errno(libc::ENOTDIR)).into());
    }
    if form == ExportForm::Flat {
        let flat = Copy::named(&open.folder)?;
        let entries = flatten(&tree, &taken, &flat.path, path, open.snapshots.backing())?;
        send_file(&flat.path, to)?;
        return Ok(entries);
    }
    let mut pack = Pack::new(&mut to);
    let mut entries = 0;
    tree.harvest(path.as_os_str(), |picked| {
        let Some(entry) = packed(&picked) else { return Ok(()) };
        entries += 1;
        let content = Content { picked: &picked, offset: 0, error: None };
        add(&mut pack, &entry, content)
    })?;
    pack.finish().map_err(|_| Broken::Peer)?;
    to.finish().map_err(|_| Broken::Peer)?;
    Ok(entries)
}

fn snapshot_failed(path: &Path, error: nixbox_engine::Error) -> Report {
    match error.errno() {
        libc::ENOSPC | libc::EDQUOT => {
            Failure::new(&codes::FILE_NO_ROOM, "there is no room for a copy of the database")
                .why(format_args!("an export tells the instance as it is now, from a copy at {}", path.display()))
                .help("make room there and try again")
                .into()
        }
        _ => failure::working(error),
    }
}

fn send_file(path: &Path, mut to: Outward) -> Result<(), Broken> {
    let mut file = File::open(path).map_err(|error| Report::from(failure::io(path, &error)))?;
    // From here on its room is taken only for as long as it is read.
    let _ = fs::remove_file(path);
    io::copy(&mut file, &mut to).map_err(|_| Broken::Peer)?;
    to.finish().map_err(|_| Broken::Peer)
}

/// None for what tar has no word for: a socket, which means nothing without its process.
fn packed(picked: &Picked<'_>) -> Option<Entry> {
    let attr = &picked.attr;
    let (major, minor) = (libc::major(u64::from(attr.rdev)), libc::minor(u64::from(attr.rdev)));
    let kind = match (attr.kind, picked.twin) {
        (Kind::Socket, _) => return None,
        (Kind::Directory, _) => Packed::Folder,
        (_, Some(twin)) => Packed::HardLink { to: twin.to_owned() },
        (Kind::File, None) => Packed::File { size: attr.size },
        (Kind::Symlink, None) => Packed::Symlink { target: picked.target.clone().unwrap_or_default() },
        (Kind::Fifo, None) => Packed::Fifo,
        (Kind::CharDevice, None) => Packed::CharDevice { major, minor },
        (Kind::BlockDevice, None) => Packed::BlockDevice { major, minor },
    };
    let mode = u32::from(attr.perm);
    let mtime = (attr.mtime.sec, attr.mtime.nsec);
    Some(Entry { path: picked.path.to_owned(), kind, mode, uid: attr.uid, gid: attr.gid, mtime })
}

fn add(pack: &mut Pack<&mut Outward>, entry: &Entry, mut content: Content<'_, '_>) -> Result<(), Broken> {
    match (pack.add(entry, &mut content), content.error) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(error.into()),
        (Err(error), None) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let failure =
                Failure::new(&codes::FILE_FAILED, format!("/{} changed while it was read", entry.path.display()))
                    .why("it lies in the base, and became shorter")
                    .help("try again when nobody works on the base");
            Err(Broken::Report(failure.into()))
        }
        (Err(_), None) => Err(Broken::Peer),
    }
}

struct Content<'a, 'p> {
    picked: &'a Picked<'p>,
    offset: u64,
    error: Option<nixbox_engine::Error>,
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = u32::try_from(buffer.len()).unwrap_or(PIECE);
        match self.picked.read(self.offset, size) {
            Ok(piece) => {
                self.offset += piece.len() as u64;
                buffer[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            }
            Err(error) => {
                self.error = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

/// A database of its own with everything that is seen, and the values and calls.
fn flatten(tree: &ByPath, taken: &Taken, path: &Path, from: &Name, backing: &Backing) -> Result<u64, Broken> {
    let made = |error| Broken::from(Report::from(failure::database(path, error)));
    let flat =
        Database::open_or_create(path, &Options { backing: backing.clone(), ..Options::default() }).map_err(made)?;
    let caller = nixbox_engine::Caller { uid: 0, gid: 0 };
    let mut planting = ByPath::new(flat.tree(), Arc::new(()), caller).plant(OsStr::new("/"))?;
    let mut entries = 0;
    tree.harvest(from.as_os_str(), |picked| {
        entries += 1;
        super::import::transplant(&mut planting, &picked, true).map_err(Broken::from)
    })?;
    planting.finish(|| {
        flat.kv().adopt(&taken.kv())?;
        flat.tool_calls().adopt(&taken.tool_calls())?;
        Ok(())
    })?;
    flat.close().map_err(made)?;
    Ok(entries)
}

/// A file beside the database for as long as it is needed. Those of an owner that was killed are taken away by the next
/// export.
struct Copy {
    path: PathBuf,
}

const PREFIX: &str = "export-";

impl Copy {
    fn named(folder: &Path) -> Result<Self, Report> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mine = format!("{PREFIX}{}-", std::process::id());
        for left in fs::read_dir(folder).map_err(|error| failure::io(folder, &error))?.flatten() {
            let name = left.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) && !name.starts_with(&mine) {
                let _ = fs::remove_file(left.path());
            }
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { path: folder.join(format!("{mine}{number}.db")) })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for end in ["", "-wal"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            let _ = fs::remove_file(path);
        }
    }
}

/// For what is told of a look.
pub(super) fn look(attr: &nixbox_engine::Attr, keeps_owner: bool) -> Look {
    let owner = nixbox_engine::Caller { uid: attr.uid, gid: attr.gid };
    Look { perm: attr.perm, owner: keeps_owner.then_some(owner), mtime: attr.mtime }
}
