//! Many changes of files as one. All of what is asked is taken and understood before the first of it is done: however
//! slow a client is, others wait for the work alone.

use std::ffi::OsStr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nixbox_control::{Applied, FileOperation, MAX_OPERATIONS, MAX_OPERATIONS_BYTES, Response};
use nixbox_engine::{AttrChange, ByPath, Error};
use nixbox_report::{Failure, Report, codes};

use super::Told;
use crate::desk::Request;
use crate::failure;
use crate::surfaces::control::talk::{Ended, Talk};

/// So many of the paths are put on record.
const MAX_RECORDED: usize = 64;

/// An operation, what it writes, and the line that it stands on.
struct Line {
    number: usize,
    operation: FileOperation,
    content: Vec<u8>,
}

pub(super) async fn apply(dry_run: bool, talk: &mut Talk, request: &Request) -> Result<Told, Ended> {
    talk.say(&Response::Go).await?;
    let mut body = Vec::new();
    while let Some(frame) = talk.frame(request.stop()).await? {
        if body.len() + frame.len() > MAX_OPERATIONS_BYTES {
            return Err(too_much(format_args!("they are longer than {} MiB", MAX_OPERATIONS_BYTES >> 20)).into());
        }
        body.extend_from_slice(&frame);
    }
    let applied = request
        .work(move |open| {
            let lines = understood(&body)?;
            drop(body);
            let done = open.files.together(!dry_run, |files| {
                lines.iter().try_for_each(|line| one(files, line).map_err(|error| Stopped(stuck(line, error))))
            });
            done.map_err(|Stopped(report)| report)?;
            Ok(counted(&lines))
        })
        .await?;
    Ok(applied)
}

fn understood(body: &[u8]) -> Result<Vec<Line>, Report> {
    let mut lines = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if lines.len() == MAX_OPERATIONS {
            return Err(too_much(format_args!("there are more than {MAX_OPERATIONS}")).into());
        }
        let number = index + 1;
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(&codes::FILE_OPERATION, format!("line {number} is no operation"))
                .why(why)
                .help("`nixbox-helper schema fs apply --input` says what a line may be; nothing was changed")
        };
        // A list of the values alone would be understood, too, and mistaken sooner or later.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(wrong(&"it is no JSON object").into());
        }
        let mut operation: FileOperation = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
        let content = match &mut operation {
            FileOperation::Write { text, base64, .. } | FileOperation::Append { text, base64, .. } => {
                match (text.take(), base64.take()) {
                    (Some(text), None) => text.into_bytes(),
                    (None, Some(base64)) => BASE64.decode(base64).map_err(|error| wrong(&error))?,
                    _ => return Err(wrong(&"it has its content either in `text` or in `base64`").into()),
                }
            }
            _ => Vec::new(),
        };
        lines.push(Line { number, operation, content });
    }
    Ok(lines)
}

fn one(files: &ByPath, Line { operation, content, .. }: &Line) -> Result<(), Error> {
    let mode = |path: &str, mode: Option<nixbox_control::Permissions>| match mode {
        Some(mode) => files.change(path.as_ref(), AttrChange { perm: Some(mode.0), ..AttrChange::default() }),
        None => Ok(()),
    };
    match operation {
        FileOperation::Write { path, mode: wanted, parents, .. } => {
            if let (true, Some(folder)) = (*parents, Path::new(path).parent().filter(|it| !it.as_os_str().is_empty())) {
                files.make_folder(folder.as_os_str(), true)?;
            }
            write(files, path, content, false)?;
            mode(path, *wanted)
        }
        FileOperation::Append { path, .. } => write(files, path, content, true),
        FileOperation::Truncate { path, size } => {
            files.change(path.as_ref(), AttrChange { size: Some(*size), ..AttrChange::default() })
        }
        FileOperation::Mkdir { path, parents, mode: wanted } => {
            files.make_folder(path.as_ref(), *parents)?;
            mode(path, *wanted)
        }
        FileOperation::Rm { path, recursive, force } => match files.remove(path.as_ref(), *recursive) {
            Err(Error::Errno(libc::ENOENT)) if *force => Ok(()),
            removed => removed,
        },
        FileOperation::Mv { from, to } => files.move_to(from.as_ref(), to.as_ref()),
        FileOperation::Cp { from, to, recursive } => files.copy(from.as_ref(), to.as_ref(), *recursive),
        FileOperation::Chmod { path, mode: wanted } => mode(path, Some(*wanted)),
        FileOperation::Chown { path, uid, gid } => {
            files.change(path.as_ref(), AttrChange { uid: *uid, gid: *gid, ..AttrChange::default() })
        }
        FileOperation::Symlink { path, target } => files.symlink(path.as_ref(), OsStr::new(target)),
        FileOperation::Link { path, to } => files.link(path.as_ref(), to.as_ref()),
    }
}

fn write(files: &ByPath, path: &str, content: &[u8], append: bool) -> Result<(), Error> {
    let mut writing = files.write(path.as_ref(), append)?;
    writing.push(content)?;
    writing.finish()
}

/// Why the whole has come to nothing.
struct Stopped(Report);

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self(match error.errno() {
            libc::EOPNOTSUPP => Failure::new(&codes::FILE_IN_PLACE, "what was to be done as one cannot be")
                .why("the instance has `mode = \"direct\"`, and a real folder does nothing all or not at all")
                .help("do it one by one with the other verbs of `nixbox-helper fs`")
                .into(),
            _ => failure::working(error),
        })
    }
}

fn stuck(Line { number, operation, .. }: &Line, error: Error) -> Report {
    let (path, other) = operation.paths();
    // Of two paths the first is there, unless that is what is said.
    let at = match (other, error.errno()) {
        (Some(to), libc::ENOENT | libc::EISDIR) if path == to => to,
        (Some(to), errno) if !matches!(errno, libc::ENOENT | libc::EISDIR) => to,
        _ => path,
    };
    let mut report = failure::file(Path::new(at), error);
    for failure in &mut report.failures {
        failure.what = format!("line {number}, `{}`: {}", operation.name(), failure.what);
        let why = failure.why.take().map(|why| format!("{why}; ")).unwrap_or_default();
        failure.why = Some(why + "nothing of the whole was done");
    }
    report
}

fn counted(lines: &[Line]) -> Told {
    let mut applied = Applied { operations: lines.len() as u64, ..Applied::default() };
    for Line { operation, content, .. } in lines {
        applied.bytes += content.len() as u64;
        *applied.by_name.entry(operation.name().to_owned()).or_default() += 1;
    }
    let paths = lines.iter().flat_map(|Line { operation, .. }| {
        let (path, other) = operation.paths();
        std::iter::once(path).chain(other).map(str::to_owned)
    });
    Told::Applied { applied, paths: paths.take(MAX_RECORDED).collect() }
}

fn too_much(why: std::fmt::Arguments<'_>) -> Failure {
    Failure::new(&codes::CONTROL_BODY_TOO_LONG, "these are too many operations for one go")
        .why(why)
        .help("apply them in parts; for whole trees there is `nixbox-helper import`")
}
