use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::bufread::MultiGzDecoder;
use nixbox_archive::{Pack, gather};
use nixbox_config::Mode;
use nixbox_control::{FilesRequest, Request};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::{Context, here, io_failure};
use crate::progress::{Progress, size};
use crate::{owner_binary, presence, select};

/// Bring files into an instance: a tar archive, a folder, or another database
///
/// All of it is there in the end, or nothing: it is made out of sight and put in its place in one step. Nothing that is
/// there is replaced (exit 5). Modes, links and times are kept, and the owners of files where root imports. Archives may
/// be gzipped. What would lead out of the instance is refused: absolute paths, `..`, paths through links, devices.
///
/// A database brings its files, its key-value state and its tool calls. Into an instance that was never made, it is
/// copied as it is, and is that instance's database from then on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper import sandbox ./project --into /project\n  nixbox-helper import sandbox release.tar.gz\n  git archive HEAD | nixbox-helper import sandbox - --into /src\n  nixbox-helper import sandbox ~/.agentfs/agent.db"
)]
pub struct Args {
    /// The instance
    pub name: String,
    /// A folder, a tar archive (gzipped or not), an AgentFS database; `-` is an archive from standard input
    pub source: OsString,
    /// The folder to put it in, or to make of it where it is not there; those above it have to be
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub into: OsString,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    pub source: String,
    /// `tar`, `folder` or `database`
    pub kind: &'static str,
    pub into: String,
    /// How much was sent; of a database, nothing
    pub bytes: u64,
    /// The instance was made of it
    pub adopted: bool,
}

enum Source {
    Folder(PathBuf),
    Archive(Box<dyn Read>),
    Database(PathBuf),
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let which = Which { instance: Some(args.name.clone()) };
    let asked = Asked::new(&which, context)?;
    let source = source(&args.source)?;
    let shown = args.source.to_string_lossy().into_owned();
    let mut progress = Progress::new("sent", &context.output);
    let mut adopted = false;
    let kind = match source {
        Source::Database(path) => {
            adopted = args.into == OsStr::new("/") && adopt(&args.name, &path, context)?;
            if !adopted {
                let request = FilesRequest::ImportDatabase { from: path.into(), into: args.into.clone().into() };
                asked.tell(&Request::Files(request))?;
            }
            "database"
        }
        Source::Archive(mut archive) => {
            send(&asked, &args.into, &mut archive, &shown, &mut progress)?;
            "tar"
        }
        Source::Folder(path) => {
            send_folder(&asked, &args.into, &path, &mut progress, context)?;
            "folder"
        }
    };
    let bytes = progress.bytes();
    drop(progress);
    let into = args.into.to_string_lossy().into_owned();
    if context.output.json {
        context.output.json(Answer { instance: args.name, source: shown, kind, into, bytes, adopted })?;
    } else if adopted {
        context.output.note(format!("{}: made of {shown}", args.name));
    } else {
        let much = if bytes > 0 { format!("{} ", size(bytes)) } else { String::new() };
        context.output.note(format!("{}: {much}from {shown} to {into}", args.name));
    }
    Ok(DONE)
}

fn source(word: &OsStr) -> Result<Source, Report> {
    if word == OsStr::new("-") {
        return Ok(Source::Archive(unzipped(BufReader::new(io::stdin()), "standard input")?));
    }
    let path = here()?.join(word);
    let meta = path.metadata().map_err(|error| missing(&path, error))?;
    if meta.is_dir() {
        return Ok(Source::Folder(path));
    }
    let mut file = BufReader::with_capacity(1 << 16, File::open(&path).map_err(|error| missing(&path, error))?);
    let head = io::BufRead::fill_buf(&mut file).map_err(|error| io_failure("read", &path, error))?;
    if head.starts_with(b"SQLite format 3\0") || head.starts_with(b"Turso") {
        return Ok(Source::Database(path));
    }
    Ok(Source::Archive(unzipped(file, &path.display().to_string())?))
}

fn missing(path: &Path, error: io::Error) -> Report {
    let help = "name a folder, a tar archive or a database; `-` reads an archive from standard input";
    let code = if error.kind() == io::ErrorKind::NotFound { &codes::IMPORT_MISSING } else { &codes::IO };
    Failure::new(code, format!("{} cannot be read", path.display())).why(error).help(help).into()
}

fn unzipped<R: Read + 'static>(mut from: BufReader<R>, name: &str) -> Result<Box<dyn Read>, Report> {
    let head = io::BufRead::fill_buf(&mut from)
        .map_err(|error| Failure::new(&codes::IO, format!("cannot read {name}")).why(error))?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(from)) } else { Box::new(from) })
}

fn send(asked: &Asked, into: &OsStr, from: &mut dyn Read, name: &str, progress: &mut Progress) -> Result<(), Report> {
    let mut talk = asked.ask(&Request::Files(FilesRequest::Import { into: into.into(), replace: false }))?;
    talk.send(&mut Watched { from, progress }, name)?;
    talk.finish().map(drop)
}

/// It is read and packed by another thread while this one sends it.
fn send_folder(
    asked: &Asked,
    into: &OsStr,
    folder: &Path,
    progress: &mut Progress,
    context: &Context,
) -> Result<(), Report> {
    let (mut from, to) = io::pipe()?;
    std::thread::scope(|scope| {
        let gathering = scope.spawn(move || {
            let mut left_out = Vec::new();
            let mut pack = Pack::new(BufWriter::with_capacity(1 << 18, to));
            gather(folder, &mut pack, |path| left_out.push(path.to_owned()))?;
            pack.finish()?;
            Ok::<_, nixbox_archive::Error>(left_out)
        });
        let sent = send(asked, into, &mut from, &folder.display().to_string(), progress);
        // Whoever packs must not wait for a reader that is done.
        drop(from);
        match (gathering.join(), sent) {
            (Ok(Ok(left_out)), sent) => {
                for path in left_out {
                    context.output.warn(format!("{} is a socket and was left out", path.display()));
                }
                sent
            }
            // What was wrong with the folder says more than that the archive was cut short by it.
            (Ok(Err(error @ nixbox_archive::Error::File { .. })), _) => {
                let failure = Failure::new(&codes::IO, format!("{} cannot be read", folder.display()));
                Err(failure.why(error).help("see to it that this user may read all of it; nothing was imported").into())
            }
            (_, Err(report)) => Err(report),
            (_, Ok(())) => Err(Failure::new(&codes::UNEXPECTED, "a thread broke off").into()),
        }
    })
}

struct Watched<'a> {
    from: &'a mut dyn Read,
    progress: &'a mut Progress,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.progress.add(read);
        Ok(read)
    }
}

/// Where the instance was never made. False where it has a database already.
fn adopt(name: &str, from: &Path, context: &Context) -> Result<bool, Report> {
    let project = context.project()?;
    let instance = select::one(&project, Some(name))?;
    // One that is ephemeral has its database in its owner.
    if instance.paths.db.exists() || instance.mode == Mode::Ephemeral {
        return Ok(false);
    }
    let program = owner_binary::find()?;
    let mut command = Command::new(&program);
    command.arg("init").arg(name).args(context.forwarded(&project)?).arg("--from").arg(from);
    let done = command.env("NIXBOX_LOG_FORMAT", "human").stdin(Stdio::null()).stdout(Stdio::null()).output();
    let done = done.map_err(|error| {
        Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", program.display())).why(error)
    })?;
    match done.status.success() {
        true => Ok(true),
        false => Err(presence::owner_failed(name, done.status.code(), &String::from_utf8_lossy(&done.stderr))),
    }
}
