use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use nixbox_archive::{LayOut, unpack};
use nixbox_control::{ExportForm, FilesRequest, Request};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Talk, Which};
use crate::context::{Context, io_failure};
use crate::interrupt::Minded;
use crate::progress::{Progress, size};
use crate::target::Target;

/// Take an instance out: as a tar archive, a folder or a database
///
/// What comes out is the instance at the moment at which the export begins, mounted and written to or not; of an
/// instance over a base, all that is seen. Only what shows of the base is read as it goes. Modes, links, owners and
/// times to the nanosecond are kept. The target is there whole or not at all.
///
/// `--db` copies the database as it is, in one file that upstream's tools open; over a base that is what differs from
/// it. `--flatten` makes it a database that needs no base. Of an encrypted instance, either is encrypted with its key;
/// a folder and an archive are not.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("form").required(true).args(["tar", "db", "dir"])),
    after_help = "Examples:\n  nixbox-helper export --tar sandbox.tar\n  nixbox-helper export sandbox --from /src --tar - | tar t\n  nixbox-helper export sandbox --dir ./out\n  nixbox-helper export sandbox --db --flatten whole.db"
)]
pub struct Args {
    /// [INSTANCE] TARGET: the file or folder to make; `-` is standard output, but for a folder
    #[arg(required = true, num_args = 1..=2, value_names = ["NAME", "TARGET"])]
    pub words: Vec<OsString>,
    /// A tar archive
    #[arg(long)]
    pub tar: bool,
    /// A database
    #[arg(long)]
    pub db: bool,
    /// A folder
    #[arg(long)]
    pub dir: bool,
    /// With `--db`, over a base: everything that is seen, in a database that needs no base
    #[arg(long, requires = "db", conflicts_with_all = ["tar", "dir"])]
    pub flatten: bool,
    /// That folder of the instance and what is in it
    #[arg(long, value_name = "PATH", default_value = "/", conflicts_with = "db")]
    pub from: OsString,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub instance: String,
    /// `tar`, `db` or `dir`
    pub form: &'static str,
    pub target: String,
    /// How much came out of the instance
    pub bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let (name, target) = match args.words.as_slice() {
        [name, target] => (Some(name.to_string_lossy().into_owned()), target),
        [target] => (None, target),
        _ => return Err(Failure::new(&codes::USAGE, "an export needs a target").into()),
    };
    let asked = Asked::new(&Which { instance: name }, context)?;
    let form = match (args.db, args.flatten) {
        (true, true) => ExportForm::Flat,
        (true, false) => ExportForm::Database,
        _ => ExportForm::Tar,
    };
    let to_stdout = target == OsStr::new("-");
    if to_stdout && (args.dir || context.output.json) {
        return Err(Failure::new(&codes::USAGE, "standard output takes an archive or a database, and nothing else")
            .help("name a target, or leave out `--json`")
            .into());
    }
    let request = Request::Files(FilesRequest::Export { path: args.from.into(), form });
    let mut progress = Progress::new("exported", &context.output);
    let minded = (!to_stdout).then(Minded::new);
    let done = if to_stdout {
        asked.ask(&request)?.body(|piece| {
            progress.add(piece.len());
            context.output.open_data(piece)
        })
    } else {
        // Before the owner begins to work for nothing.
        let place = Target::new(Path::new(target), args.dir, args.force);
        place.and_then(|place| match args.dir {
            true => folder(place, asked.ask(&request)?, &mut progress, minded.as_ref()),
            false => file(place, asked.ask(&request)?, &mut progress, minded.as_ref()),
        })
    };
    if let (Err(_), Some(minded)) = (&done, &minded) {
        minded.end_if_told();
    }
    done?;
    let bytes = progress.bytes();
    drop(progress);
    let form = if args.tar {
        "tar"
    } else if args.db {
        "db"
    } else {
        "dir"
    };
    let instance = asked.name().to_owned();
    if context.output.json {
        context.output.json(Answer { instance, form, target: target.to_string_lossy().into_owned(), bytes })?;
    } else if !to_stdout {
        context.output.note(format!("{instance}: {} to {}", size(bytes), target.display()));
    }
    Ok(DONE)
}

/// Whoever has told the program to stop is not told more.
fn stopped(minded: Option<&Minded>) -> Result<(), Report> {
    match minded.is_some_and(Minded::is_told) {
        true => Err(Failure::new(&codes::UNEXPECTED, "stopped").into()),
        false => Ok(()),
    }
}

fn file(place: Target, talk: Talk, progress: &mut Progress, minded: Option<&Minded>) -> Result<(), Report> {
    let beside: PathBuf = place.beside().to_owned();
    let failed = |error: io::Error| io_failure("write", &beside, error);
    let mut file = BufWriter::new(place.create()?);
    talk.body(|piece| {
        stopped(minded)?;
        progress.add(piece.len());
        file.write_all(piece).map_err(failed).map(|()| true)
    })?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    place.put()
}

/// The stream is read here while another thread takes it from the owner.
fn folder(place: Target, talk: Talk, progress: &mut Progress, minded: Option<&Minded>) -> Result<(), Report> {
    let (from, mut to) = io::pipe()?;
    let beside = place.beside().to_owned();
    let laid_out = std::thread::scope(|scope| {
        let laying = scope.spawn(move || lay_out(&beside, from));
        let told = talk.body(|piece| {
            stopped(minded)?;
            progress.add(piece.len());
            match to.write_all(piece) {
                // Why it takes no more is what the other thread says.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                done => done.map(|()| true).map_err(Report::from),
            }
        });
        drop(to);
        let laid = laying.join().unwrap_or_else(|_| Err(Failure::new(&codes::UNEXPECTED, "a thread broke off").into()));
        told.and(laid)
    });
    laid_out?;
    place.put()
}

fn lay_out(folder: &Path, from: impl Read) -> Result<(), Report> {
    let told = |error: nixbox_archive::Error| {
        Report::from(
            Failure::new(&codes::IO, format!("{} cannot be laid out", folder.display()))
                .why(error)
                .help("see to it that there is room, and that this user may make what the instance holds"),
        )
    };
    let mut laying = LayOut::to(folder).map_err(told)?;
    unpack(io::BufReader::with_capacity(1 << 18, from), |entry, content| laying.add(entry, content)).map_err(told)?;
    laying.finish().map_err(told)
}
