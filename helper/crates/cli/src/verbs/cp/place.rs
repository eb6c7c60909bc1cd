//! What the words of a copy mean, and where exactly something goes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nixbox_control::{FileEntry, FileKind, FilesRequest, Name, Request};
use nixbox_report::{Failure, Report, codes};

use super::from::Source;
use super::onto_host;
use crate::asking::{Asked, Which};
use crate::context::{Context, here};

pub enum Place {
    /// Standard input or output.
    Stream,
    Host(PathBuf),
    Inside(Box<Asked>, PathBuf),
}

impl Place {
    pub fn of(word: &OsStr, context: &Context) -> Result<Self, Report> {
        if word == OsStr::new("-") {
            return Ok(Self::Stream);
        }
        let bytes = word.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':').filter(|at| !bytes[..*at].contains(&b'/'));
        let Some(colon) = colon else { return Ok(Self::Host(here()?.join(word))) };
        let name = String::from_utf8_lossy(&bytes[..colon]).into_owned();
        let path = Path::new("/").join(OsString::from_vec(bytes[colon + 1..].to_vec()));
        let which = Which { instance: Some(name).filter(|name| !name.is_empty()) };
        Ok(Self::Inside(Box::new(Asked::new(&which, context)?), path))
    }
}

/// What lies at a path of an instance. Links are not followed.
pub fn stat(asked: &Asked, path: &Path) -> Result<Option<FileEntry>, Report> {
    let request = FilesRequest::Stat { path: Name::from(path.as_os_str().to_owned()), layer: None };
    let mut found = None;
    let asking = asked.ask(&Request::Files(request)).and_then(|talk| {
        talk.lines(|entry: FileEntry| {
            found = Some(entry);
            Ok(true)
        })
    });
    match asking {
        Err(report) if report.failures.iter().all(|failure| *failure.code == codes::FILE_MISSING) => Ok(None),
        asking => asking.map(|()| found),
    }
}

/// Where the copy goes: a folder into `into`, anything else under the name `name` there.
pub enum Target {
    Stream,
    /// `into`: for a folder, what it becomes or is merged into.
    Host {
        into: PathBuf,
        name: Option<OsString>,
    },
    Inside {
        asked: Box<Asked>,
        into: PathBuf,
        name: Option<OsString>,
    },
}

impl Target {
    pub fn of(place: Place, source: &Source, force: bool) -> Result<Self, Report> {
        match place {
            Place::Stream if source.is_stream() => Err(one_inside().into()),
            Place::Stream => Ok(Self::Stream),
            Place::Host(path) => {
                if !source.is_inside() {
                    return Err(one_inside().into());
                }
                let (into, name) = settle(&path, source, path.is_dir(), path.symlink_metadata().is_ok())?;
                if let Some(base) = source.base().filter(|_| !force)
                    && real(&into).starts_with(base)
                {
                    return Err(into_base(&into, base).into());
                }
                Ok(Self::Host { into, name })
            }
            Place::Inside(asked, path) => {
                let there = stat(&asked, &path)?;
                let is_folder = there.as_ref().is_some_and(|entry| entry.kind == FileKind::Folder);
                let (into, name) = settle(&path, source, is_folder, there.is_some())?;
                if name.is_some() && !is_folder && into != Path::new("/") && stat(&asked, &into)?.is_none() {
                    let what = format!("`{}` has no folder {}", asked.name(), into.display());
                    let help =
                        format!("make it with `nixbox-helper fs mkdir -i {} -p {}`", asked.name(), into.display());
                    return Err(Failure::new(&codes::FILE_MISSING, what).help(help).into());
                }
                Ok(Self::Inside { asked, into, name })
            }
        }
    }

    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream)
    }

    pub fn name(&self) -> Option<&OsStr> {
        match self {
            Self::Stream => None,
            Self::Host { name, .. } | Self::Inside { name, .. } => name.as_deref(),
        }
    }

    /// The archive of what is copied, to its end.
    pub fn take(&self, from: &mut dyn Read, force: bool, context: &Context) -> Result<(), Report> {
        match self {
            Self::Stream => {
                let mut piece = vec![0; 1 << 16];
                loop {
                    let read = match from.read(&mut piece) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        read => read?,
                    };
                    if read == 0 || !context.output.open_data(&piece[..read])? {
                        return Ok(());
                    }
                }
            }
            Self::Host { into, name } => onto_host::lay(into, name.as_deref(), from, force),
            Self::Inside { asked, into, .. } => {
                let into = into.as_os_str().into();
                let mut talk = asked.ask(&Request::Files(FilesRequest::Import { into, replace: force }))?;
                talk.send(from, "what is copied")?;
                talk.finish().map(drop).map_err(unforced)
            }
        }
    }
}

/// An import says that nothing is replaced; here there is a way.
fn unforced(mut report: Report) -> Report {
    for failure in report.failures.iter_mut().filter(|failure| *failure.code == codes::FILE_EXISTS) {
        failure.code = &codes::COPY_EXISTS;
        failure.help = Some("replace what is there with `--force`, or name another target".into());
    }
    report
}

/// Docker's rule, which is that of cp.
fn settle(
    path: &Path,
    source: &Source,
    is_folder: bool,
    is_there: bool,
) -> Result<(PathBuf, Option<OsString>), Report> {
    let own = source.name();
    match (source.is_folder(), is_folder, own) {
        // An archive has the names of all that is in it.
        _ if source.is_stream() => Ok((path.to_owned(), None)),
        (true, true, Some(own)) => Ok((path.join(own), None)),
        (true, true, None) => Ok((path.to_owned(), None)),
        (true, false, _) if is_there => {
            Err(Failure::new(&codes::FILE_KIND, format!("{} is no folder", path.display()))
                .why("a folder is copied to it")
                .help("name a folder, or a name that nothing has")
                .into())
        }
        (true, false, _) => Ok((path.to_owned(), None)),
        (false, true, own) => Ok((path.to_owned(), own)),
        (false, false, _) => {
            let name = path.file_name().map(OsStr::to_owned);
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            Ok((parent, name))
        }
    }
}

/// As the kernel names it, as far as it is there.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

fn one_inside() -> Failure {
    Failure::new(&codes::USAGE, "a copy is from an instance, or to one")
        .why("neither of the two is NAME:PATH")
        .help("write `nixbox-helper cp sandbox:/src .`, or the other way around")
}

fn into_base(into: &Path, base: &Path) -> Failure {
    Failure::new(&codes::COPY_INTO_BASE, format!("{} lies in the folder that the instance lies over", into.display()))
        .why(format_args!("what is in {} is written by nobody but you", base.display()))
        .help("look at it first with `nixbox-helper diff`, then copy it with `--force`")
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |into: &Path| self.name().map_or_else(|| into.to_owned(), |name| into.join(name));
        match self {
            Self::Stream => to.write_str("-"),
            Self::Host { into, .. } => write!(to, "{}", path(into).display()),
            Self::Inside { asked, into, .. } => write!(to, "{}:{}", asked.name(), path(into).display()),
        }
    }
}
