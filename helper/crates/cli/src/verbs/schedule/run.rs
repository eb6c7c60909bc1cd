use jiff::Timestamp;
use nix::sys::signal::SigSet;
use nixbox_config::{Overlap, Schedule};
use nixbox_report::Report;
use nixbox_state::Process;
use nixbox_supervisor::{Confinement, Ending, Foreground, Outlet, PASSED_ON};
use schemars::JsonSchema;
use serde::Serialize;

use super::{DONE, checked, running};
use crate::context::Context;
use crate::schedule::{self, Records, Run, Turn, Weight, left_out};
use crate::supervise::helper;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schedule
    pub name: String,
    /// Its time has come: not where it is paused or disabled, and left out where it runs already
    #[arg(long, hide = true)]
    pub due: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Ran {
    pub schedule: String,
    pub command: Vec<String>,
    pub exit_code: u8,
    pub duration_ms: u64,
    /// What is not UTF-8 is replaced; the first 4 MiB
    pub stdout: String,
    pub stderr: String,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let project = checked(context)?;
    let schedule = schedule::of(&project, &args.name)?;
    let records = Records::of(&project);
    if args.due && (!schedule.enable || records.read(&schedule.name).paused) {
        context.output.note(format!("{}: its time has come, and it is {}", schedule.name, idle(schedule)));
        return Ok(DONE);
    }
    let _turn = match turn(schedule, &records, args.due)? {
        Wait::Turn(turn) => turn,
        Wait::LeftOut => {
            left_out(&records, &schedule.name)?;
            context.output.note(format!("{}: its time has come, and it still runs", schedule.name));
            return Ok(DONE);
        }
    };
    // What comes before it runs is for it: passed on when it does.
    SigSet::from_iter(PASSED_ON).thread_block().map_err(std::io::Error::from)?;
    let foreground = Foreground {
        program: helper()?.into(),
        args: context.forwarded(&project)?.into_iter().chain(schedule::words(schedule)).collect(),
        env: Vec::new(),
        cwd: project.root.clone(),
        view: None,
        user: None,
        input: false,
        outlet: if context.output.json { Outlet::Captured } else { Outlet::Ours },
        limit: None,
        leaves_nothing: true,
        spares: None,
        // What it runs may have limits of its own.
        confinement: Confinement::default(),
    };
    let started = Timestamp::now().as_millisecond();
    let run = Run { started, process: Process::current()?, by_hand: !args.due, ended: None, exit_code: None };
    records.change(&schedule.name, Weight::Light, |record| record.last = Some(run.clone()))?;
    let ending = foreground.run();
    let code = ending.as_ref().map_or(1, |ending| i32::from(ending.code()));
    let ended = Run { ended: Some(Timestamp::now().as_millisecond()), exit_code: Some(code), ..run };
    records.change(&schedule.name, Weight::Durable, |record| {
        // Where several run at a time, the one that began last is told of.
        if record.last.as_ref().is_none_or(|last| last.started <= ended.started) {
            record.last = Some(ended.clone());
        }
    })?;
    let ending = ending?;
    if context.output.json {
        context.output.json(answer(schedule, &ending))?;
    }
    Ok(ending.code())
}

fn idle(schedule: &Schedule) -> &'static str {
    if schedule.enable { "paused" } else { "disabled" }
}

enum Wait {
    /// None is needed where they may run side by side.
    Turn(Option<Turn>),
    LeftOut,
}

fn turn(schedule: &Schedule, records: &Records, is_due: bool) -> Result<Wait, Report> {
    let name = &schedule.name;
    match schedule.overlap {
        Overlap::Allow => Ok(Wait::Turn(None)),
        Overlap::Queue => Ok(Wait::Turn(records.turn(name, true)?)),
        Overlap::Skip => match records.turn(name, false)? {
            Some(turn) => Ok(Wait::Turn(Some(turn))),
            None if is_due => Ok(Wait::LeftOut),
            None => Err(running(schedule, &records.read(name)).into()),
        },
    }
}

fn answer(schedule: &Schedule, ending: &Ending) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        schedule: schedule.name.clone(),
        command: schedule::words(schedule).iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        exit_code: ending.code(),
        duration_ms: u64::try_from(ending.took.as_millis()).unwrap_or(u64::MAX),
        stdout: text(&ending.output.stdout),
        stderr: text(&ending.output.stderr),
    }
}
