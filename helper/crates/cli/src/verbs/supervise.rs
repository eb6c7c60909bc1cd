use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_report::Report;
use nixbox_state::{Lock, Process};
use nixbox_supervisor::{Guarded, Supervisor, guard};

use super::DONE;
use super::up::GRACE;
use crate::context::Context;
use crate::supervise::{self, Client, Places, Session, Turn};

/// Keep up what others order
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not follow the configuration file
    #[arg(long)]
    no_reload: bool,
}

/// Whoever started it is about to say what is to run.
const FIRST_ORDER: Duration = Duration::from_secs(20);
const CLEARED_UP: Duration = Duration::from_secs(5);

/// `None` where another one was first, and gets the orders. Who only clears up after a killed one has it for a moment.
fn lock(places: &Places) -> Result<Option<Lock>, Report> {
    let until = Instant::now() + CLEARED_UP;
    loop {
        let lock = places.lock()?;
        if lock.is_some() || Client::reach(places)?.is_some() || Instant::now() > until {
            return Ok(lock);
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = context.project()?;
    let places = Places::of(&project);
    if let Guarded::Over { code } = guard(GRACE)? {
        if code >= 128 {
            places.clear(&project);
        }
        return Ok(code);
    }
    let Some(_lock) = lock(&places)? else { return Ok(DONE) };
    let supervisor = Supervisor::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let mut session = Session::new(context, &project, supervisor, &places)?;
    session.leave_out_lines();
    let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap_or_default();
    session.open(&places, [Some(Process::current()?), Process::of(parent)?].into_iter().flatten().collect())?;
    if !args.no_reload {
        supervise::follow_file(context, &project, session.drawn())?;
    }
    let first = Instant::now() + FIRST_ORDER;
    let mut begun = false;
    while session.is_busy() || !begun {
        match session.turn((!begun).then_some(first))? {
            Turn::Signal(_) => {
                session.end(None)?;
                begun = true;
            }
            Turn::Deadline => break,
            Turn::Went => begun |= session.is_busy(),
        }
    }
    session.close()?;
    Ok(DONE)
}
