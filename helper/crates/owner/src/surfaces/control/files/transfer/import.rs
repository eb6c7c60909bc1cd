//! Trees that come in. All of one is there in the end, or nothing of it.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use nixbox_archive::{Entry, Kind as Packed, unpack};
use nixbox_control::{Name, Response};
use nixbox_engine::{ByPath, Caller, Error, Kind, Look, Picked, Planting, Taken, Time};
use nixbox_report::{Failure, Report, codes};
use serde_json::json;

use super::super::super::talk::{Ended, Talk};
use super::super::{PIECE, Told, failed};
use super::export::look;
use super::pipe::{Inward, Piece, pipe};
use super::{Broken, ended, refused};
use crate::desk::{Open, Request};
use crate::failure;

pub(crate) async fn import(into: Name, replace: bool, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    let (sender, pieces) = pipe();
    let work = request.aside(move |open| plant(open, &into, replace, Inward::new(pieces)));
    talk.say(&Response::Go).await?;
    let mut gone = None;
    loop {
        let frame = tokio::select! {
            // What is wrong is said at once, and not after all has come.
            () = sender.closed() => break,
            frame = talk.frame(request.stop()) => frame,
        };
        let piece = match frame {
            Ok(Some(frame)) => Piece::Bytes(frame),
            Ok(None) => Piece::End,
            Err(ended) => {
                gone = Some(ended);
                break;
            }
        };
        let last = matches!(piece, Piece::End);
        if sender.send(piece).await.is_err() || last {
            break;
        }
    }
    // The end of the pipe, where it has not ended, has the thread take away what there is.
    drop(sender);
    let planted = ended(work).await?;
    match (gone, planted) {
        (Some(ended), _) => Err(ended),
        (None, Ok(entries)) => Ok(Told::Nothing(json!({ "entries": entries }))),
        (None, Err(Broken::Report(report))) => Err(report.into()),
        (None, Err(Broken::Peer)) => Err(Ended::Peer(io::ErrorKind::BrokenPipe.into())),
    }
}

fn plant(open: &Open, into: &Name, replace: bool, from: Inward) -> Result<u64, Broken> {
    let mut planting = begin(open, into)?;
    if replace {
        planting.replace();
    }
    let mut entries = 0;
    unpack(from, |entry, content| {
        entries += 1;
        add(&mut planting, entry, content)
    })?;
    finish(planting, into, || Ok(()))?;
    Ok(entries)
}

fn begin(open: &Open, into: &Name) -> Result<Planting, Report> {
    open.files.plant(into.as_os_str()).map_err(|error| failed(into, error))
}

fn finish(planting: Planting, into: &Name, also: impl FnMut() -> nixbox_engine::Result<()>) -> Result<(), Report> {
    if let Some(path) = planting.in_the_way() {
        return Err(failure::file(&path, Error::Errno(libc::EEXIST)));
    }
    planting.finish(also).map_err(|error| failed(into, error))
}

fn add(planting: &mut Planting, entry: Entry, content: &mut dyn Read) -> Result<(), Broken> {
    let keeps_owner = nix::unistd::geteuid().is_root();
    let owner = keeps_owner.then_some(Caller { uid: entry.uid, gid: entry.gid });
    let mtime = Time { sec: entry.mtime.0, nsec: entry.mtime.1.min(999_999_999) };
    let look = Look { perm: (entry.mode & 0o7777) as u16, owner, mtime };
    let path = &entry.path;
    let added = match &entry.kind {
        Packed::Folder => planting.folder(path, look),
        Packed::Symlink { target } => planting.symlink(path, target, look),
        Packed::HardLink { to } => planting.link(path, to).map_err(|error| match error {
            // Of the other name.
            Error::Errno(libc::ENOENT) => Error::Errno(libc::ENOLINK),
            error => error,
        }),
        Packed::Fifo => planting.special(path, Kind::Fifo, 0, look),
        Packed::CharDevice { .. } | Packed::BlockDevice { .. } => {
            return Err(Report::from(refused(path, "it is a device, which could reach out of the instance")).into());
        }
        Packed::File { size } => {
            let mut left = *size;
            let mut broken = None;
            let planted = planting.file(path, look, || {
                let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(PIECE as usize)];
                match content.read_exact(&mut piece) {
                    Ok(()) => {
                        left -= piece.len() as u64;
                        Ok::<_, Error>(piece)
                    }
                    Err(error) => {
                        broken = Some(error);
                        Err(Error::Errno(libc::EIO))
                    }
                }
            });
            match broken {
                Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(nixbox_archive::Error::Broken("it ends in the middle of a file".into()).into());
                }
                Some(_) => return Err(Broken::Peer),
                None => planted,
            }
        }
    };
    added.map_err(|error| wrong(path, error).into())
}

fn wrong(path: &Path, error: Error) -> Report {
    let why = match error.errno() {
        libc::EEXIST => "it stands in it twice",
        libc::ENOTDIR => "its path leads through something that is no folder",
        libc::ENOLINK => "it is another name for something that does not come before it",
        libc::EISDIR => "it stands for the top of the tree",
        libc::EPERM => "it is another name for a folder, or hidden by the instance",
        _ => return failure::file(path, error),
    };
    refused(path, why).into()
}

pub(crate) async fn import_database(from: Name, into: Name, request: &Request) -> Result<Told, Ended> {
    let work = request.aside(move |open| graft(open, Path::new(from.as_os_str()), &into));
    match ended(work).await? {
        Ok(counts) => Ok(Told::Nothing(counts)),
        Err(Broken::Report(report)) => Err(report.into()),
        Err(Broken::Peer) => Err(Ended::Peer(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Files, values and calls of another database. Values that both have must be the same.
fn graft(open: &Open, from: &Path, into: &Name) -> Result<serde_json::Value, Broken> {
    let taken = Taken::foreign(from, open.snapshots.backing()).map_err(|error| Report::from(not_taken(from, error)))?;
    let tree = ByPath::new(taken.tree(), Arc::new(()), open.caller);
    if let Some(key) = open.kv.clash(&taken.kv())? {
        let failure =
            Failure::new(&codes::KV_CLASH, format!("the key `{key}` has another value in {}", from.display()))
                .why("nothing that is there is replaced")
                .help(format!("delete one of the two: `nixbox-helper kv delete {key}`"));
        return Err(Broken::Report(failure.into()));
    }
    let mut planting = begin(open, into)?;
    let mut entries = 0u64;
    tree.harvest("/".as_ref(), |picked| {
        entries += 1;
        transplant(&mut planting, &picked, nix::unistd::geteuid().is_root())
    })?;
    let (mut values, mut calls) = (0, 0);
    finish(planting, into, || {
        values = open.kv.adopt(&taken.kv())?;
        calls = open.calls.adopt(&taken.tool_calls())?;
        Ok(())
    })?;
    Ok(json!({ "entries": entries, "values": values, "calls": calls }))
}

fn not_taken(from: &Path, error: Error) -> Failure {
    let failure = failure::database(from, error);
    if failure.code == &codes::DATABASE_OVERLAY {
        return failure.help("bring it up as an instance with that `base`, and export that");
    }
    if failure.code == &codes::DATABASE_ENCRYPTED {
        return failure
            .why("this instance has no key for it")
            .help("export it as a folder or tar from the instance that has, and import that");
    }
    failure
}

/// An entry of one tree into another, as it is.
pub(super) fn transplant(planting: &mut Planting, picked: &Picked<'_>, keeps_owner: bool) -> nixbox_engine::Result<()> {
    let look = look(&picked.attr, keeps_owner);
    let path = picked.path;
    match (picked.attr.kind, picked.twin, &picked.target) {
        (Kind::Directory, ..) => planting.folder(path, look),
        (_, Some(twin), _) => planting.link(path, twin),
        (Kind::Symlink, None, Some(target)) => planting.symlink(path, target, look),
        (Kind::File, None, _) => {
            let mut offset = 0;
            planting.file(path, look, || {
                let piece = picked.read(offset, PIECE)?;
                offset += piece.len() as u64;
                Ok(piece)
            })
        }
        (kind, None, _) => planting.special(path, kind, picked.attr.rdev, look),
    }
}
