//! What is copied, told as an archive.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufWriter, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};

use nixbox_archive::{Entry, Kind, Pack, gather, gather_one};
use nixbox_control::{ExportForm, FileEntry, FileKind, FilesRequest, Name, Request};
use nixbox_report::{Failure, Report, codes};

use super::place::{Place, stat};
use crate::asking::Asked;

pub enum Source {
    Stream,
    Folder(PathBuf),
    File(PathBuf),
    Inside { asked: Box<Asked>, path: PathBuf, entry: Box<FileEntry>, base: Option<PathBuf> },
}

/// What came of telling it.
#[derive(Default)]
pub struct Made {
    pub left_out: Vec<PathBuf>,
}

impl Source {
    pub fn of(place: Place) -> Result<Self, Report> {
        match place {
            Place::Stream => Ok(Self::Stream),
            Place::Host(path) => match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => Ok(Self::Folder(path)),
                Ok(_) => Ok(Self::File(path)),
                Err(error) => Err(Failure::new(&codes::IMPORT_MISSING, format!("{} cannot be read", path.display()))
                    .why(error)
                    .help("name a file or folder; in an instance it is NAME:PATH")
                    .into()),
            },
            Place::Inside(asked, path) => {
                let Some(entry) = stat(&asked, &path)? else {
                    let what = format!("`{}` has nothing at {}", asked.name(), path.display());
                    let help = format!("`nixbox-helper fs ls -i {}` shows what is there", asked.name());
                    return Err(Failure::new(&codes::FILE_MISSING, what).help(help).into());
                };
                let base = asked.instance().base.as_ref().and_then(|base| base.path.canonicalize().ok());
                Ok(Self::Inside { asked, path, entry: Box::new(entry), base })
            }
        }
    }

    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream)
    }

    pub fn is_inside(&self) -> bool {
        matches!(self, Self::Inside { .. })
    }

    pub fn is_folder(&self) -> bool {
        match self {
            Self::Stream | Self::Folder(_) => true,
            Self::File(_) => false,
            Self::Inside { entry, .. } => entry.kind == FileKind::Folder,
        }
    }

    /// The last of its path. None where that is the root, or ends with a dot: then it is what is in the folder.
    pub fn name(&self) -> Option<OsString> {
        match self {
            Self::Stream => None,
            Self::Folder(path) | Self::File(path) | Self::Inside { path, .. } => {
                let ends_with_dot = path.as_os_str().as_encoded_bytes().ends_with(b"/.");
                path.file_name().filter(|_| !ends_with_dot).map(OsStr::to_owned)
            }
        }
    }

    /// The real folder under the instance that it comes from.
    pub fn base(&self) -> Option<&Path> {
        match self {
            Self::Inside { base, .. } => base.as_deref(),
            _ => None,
        }
    }

    /// `name`: of one that is no folder. A reader that is gone has its own reasons.
    pub fn tell(&self, name: &OsStr, mut to: PipeWriter) -> Result<Made, Report> {
        let mut made = Made::default();
        let done = match self {
            Self::Stream => io::copy(&mut io::stdin().lock(), &mut to).map(drop).map_err(nixbox_archive::Error::Io),
            Self::Folder(path) => {
                let mut pack = Pack::new(BufWriter::with_capacity(1 << 18, to));
                gather(path, &mut pack, |path| made.left_out.push(path.to_owned()))
                    .and_then(|()| Ok(pack.finish().map(drop)?))
            }
            Self::File(path) => {
                let mut pack = Pack::new(BufWriter::with_capacity(1 << 18, to));
                gather_one(path, Path::new(name), &mut pack).and_then(|()| Ok(pack.finish().map(drop)?))
            }
            Self::Inside { asked, path, entry, .. } if entry.kind == FileKind::Folder => {
                let path = Name::from(path.as_os_str().to_owned());
                let talk = asked.ask(&Request::Files(FilesRequest::Export { path, form: ExportForm::Tar }))?;
                talk.body(|piece| match to.write_all(piece) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                    done => done.map(|()| true).map_err(Report::from),
                })?;
                Ok(())
            }
            Self::Inside { asked, path, entry, .. } => {
                let mut pack = Pack::new(BufWriter::with_capacity(1 << 18, to));
                one(asked, path, entry, name, &mut pack)?;
                pack.finish().map(drop).map_err(nixbox_archive::Error::Io)
            }
        };
        match done {
            Err(nixbox_archive::Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(made),
            done => done.map(|()| made).map_err(|error| unreadable(self, &error).into()),
        }
    }
}

/// A file or a link of an instance.
fn one<W: Write>(
    asked: &Asked,
    path: &Path,
    entry: &FileEntry,
    name: &OsStr,
    pack: &mut Pack<W>,
) -> Result<(), Report> {
    let told = |kind| Entry {
        path: name.into(),
        kind,
        mode: u32::from(entry.mode),
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
    };
    let gone = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Report::from(changed(path, &error))),
    };
    match (entry.kind, &entry.target) {
        (FileKind::Link, Some(target)) => {
            gone(pack.add(&told(Kind::Symlink { target: target.as_os_str().to_owned() }), io::empty()))
        }
        (FileKind::File, _) => {
            let request = FilesRequest::Read { path: Name::from(path.as_os_str().to_owned()), layer: None };
            let talk = asked.ask(&Request::Files(request))?;
            let (from, mut to) = io::pipe()?;
            std::thread::scope(|scope| {
                let reading = scope.spawn(move || {
                    talk.body(|piece| match to.write_all(piece) {
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                        done => done.map(|()| true).map_err(Report::from),
                    })
                });
                let added = pack.add(&told(Kind::File { size: entry.size }), from.take(entry.size));
                let read = reading.join().unwrap_or(Ok(()));
                read.and(gone(added))
            })
        }
        _ => Err(Failure::new(&codes::FILE_KIND, format!("{} is no file, link or folder", path.display()))
            .why("a pipe, socket or device means nothing anywhere else")
            .help("copy the folder that it is in")
            .into()),
    }
}

fn changed(path: &Path, why: &dyn fmt::Display) -> Failure {
    Failure::new(&codes::FILE_FAILED, format!("{} changed while it was copied", path.display()))
        .why(why)
        .help("try again when nobody writes to it")
}

fn unreadable(source: &Source, why: &dyn fmt::Display) -> Failure {
    Failure::new(&codes::IO, format!("{source} cannot be read"))
        .why(why)
        .help("see to it that this user may read all of it; nothing was copied")
}

impl fmt::Display for Source {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => to.write_str("-"),
            Self::Folder(path) | Self::File(path) => write!(to, "{}", path.display()),
            Self::Inside { asked, path, .. } => write!(to, "{}:{}", asked.name(), path.display()),
        }
    }
}
