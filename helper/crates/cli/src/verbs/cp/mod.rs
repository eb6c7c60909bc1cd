use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::thread;

use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::interrupt::Minded;
use crate::progress::{Progress, size};

mod from;
mod onto_host;
mod place;

use from::{Made, Source};
use place::{Place, Target};

/// Copy files and folders between the machine and an instance, or between instances
///
/// A path in an instance is NAME:PATH, from the instance's root; `:PATH` is one in the default instance. A folder is copied
/// with all that is in it. A target that is a folder gets the source in it, under the source's name; another target is what
/// the source is called from then on. Modes, times, symbolic links and hard links within the copy are kept, and owners
/// where root copies. `-` as the source is a tar archive from standard input, as the target one to standard output.
///
/// Nothing that is there is replaced without --force; with it, folders of one name become one. Into an instance all of the
/// copy is there in the end, or nothing; on the machine each file is there whole or not at all. Into the folder that an
/// instance lies over nothing is written without --force either.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper cp sandbox:/src/main.rs .\n  nixbox-helper cp ./fixtures sandbox:/tests\n  nixbox-helper cp try:/out second:/in --force\n  nixbox-helper cp sandbox:/src - | tar t"
)]
pub struct Args {
    /// What is copied
    #[arg(value_name = "SRC")]
    pub source: OsString,
    /// Where to
    #[arg(value_name = "DST")]
    pub target: OsString,
    /// Replace files that are there
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub source: String,
    /// As it is called now
    pub target: String,
    /// How much was passed on, with what describes the files
    pub bytes: u64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let (source, target) = (Place::of(&args.source, context)?, Place::of(&args.target, context)?);
    let source = Source::of(source)?;
    let target = Target::of(target, &source, args.force)?;
    if target.is_stream() && context.output.json {
        return Err(Failure::new(&codes::USAGE, "standard output takes the archive, and nothing else")
            .help("name a target, or leave out `--json`")
            .into());
    }
    let mut progress = Progress::new("copied", &context.output);
    let minded = Minded::new();
    let done = copy(&source, &target, args.force, &mut progress, &minded, context);
    if done.is_err() {
        minded.end_if_told();
    }
    done?;
    let bytes = progress.bytes();
    drop(progress);
    if target.is_stream() {
        return Ok(DONE);
    }
    let (source, target) = (source.to_string(), target.to_string());
    context.output.note(format!("{source}: {} to {target}", size(bytes)));
    if context.output.json {
        context.output.json(Answer { source, target, bytes })?;
    }
    Ok(DONE)
}

/// One thread makes an archive of the source while this one gives it to the target.
fn copy(
    source: &Source,
    target: &Target,
    force: bool,
    progress: &mut Progress,
    minded: &Minded,
    context: &Context,
) -> Result<(), Report> {
    let (from, to) = io::pipe()?;
    thread::scope(|scope| {
        let name = target.name().map(OsStr::to_owned).or_else(|| source.name()).unwrap_or_else(|| "-".into());
        let making = scope.spawn(move || source.tell(&name, to));
        let mut from = Watched { from, progress, minded };
        let put = target.take(&mut from, force, context);
        // Whoever makes it must not wait for a reader that is done.
        drop(from);
        let made = making.join().unwrap_or_else(|_| Err(Failure::new(&codes::UNEXPECTED, "a thread broke off").into()));
        match (made, put) {
            // That the archive was cut short says less than why it was.
            (Err(report), _) => Err(report),
            (Ok(_), Err(report)) => Err(report),
            (Ok(Made { left_out }), Ok(())) => {
                for path in left_out {
                    context.output.warn(format!("{} is a socket and was left out", path.display()));
                }
                Ok(())
            }
        }
    })
}

struct Watched<'a, R> {
    from: R,
    progress: &'a mut Progress,
    minded: &'a Minded,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.minded.is_told() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.from.read(buffer)?;
        self.progress.add(read);
        Ok(read)
    }
}
