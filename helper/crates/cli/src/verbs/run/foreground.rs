//! The command from here on, and what becomes of its instance afterwards.

use nix::sys::signal::Signal;
use nixbox_config::{Instance, Project, Share};
use nixbox_report::Report;
use nixbox_supervisor::Bind;

use super::owner::{Begun, Owner};
use super::told::Told;
use super::{Answer, Args, bind, port};
use crate::asking::Asked;
use crate::confine;
use crate::context::Context;
use crate::made::{self, Found, Work};
use crate::verbs::exec::{self, Inside};
use crate::verbs::snapshot;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let told = Told::begin();
    let binds = bind::all(&args.volume)?;
    let port = args.port.map(port::free).transpose()?;
    let found = args.find_or_make(context)?;
    let run = Run { instance: found.instance()?.clone(), args: &args, found: &found, context };
    let served = run.serve(binds, port, told);
    // Whatever came in between, it is looked at what is left.
    let left = run.settle(served.as_ref().ok().and_then(|served| served.work.as_ref()));
    let served = served?;
    let left = left?;
    if let Some(signal) = served.interrupted {
        return Ok(128 + signal as u8);
    }
    let Some(answer) = served.answer else { return Ok(exec::FAILED) };
    // What was to go and did not is a failure, too, where the command was none.
    let code = match answer.exit_code {
        0 if args.rm && left.is_kept => exec::FAILED,
        code => code,
    };
    match (context.output.json, answer.timed_out, args.flags.timeout) {
        (true, ..) => {
            let (changes, values) = left.work.map(|work| (work.changes, work.values)).unzip();
            let Served { checkpoint, restored, .. } = served;
            context.output.json(Answer {
                command: answer,
                kept: left.is_kept,
                changes,
                values,
                checkpoint,
                restored,
            })?;
        }
        (false, true, Some(limit)) => {
            return Err(exec::timed_out(&args.flags.command, limit).into());
        }
        _ => {}
    }
    Ok(code)
}

struct Run<'r> {
    instance: Instance,
    args: &'r Args,
    found: &'r Found,
    context: &'r Context,
}

/// What came of the time in which the instance was served.
#[derive(Default)]
struct Served {
    /// None where the command was not begun.
    answer: Option<exec::Answer>,
    interrupted: Option<Signal>,
    checkpoint: Option<String>,
    restored: bool,
    /// Where its owner was asked.
    work: Option<Work>,
}

/// What became of the instance.
struct Left {
    is_kept: bool,
    work: Option<Work>,
}

impl Run<'_> {
    fn project(&self) -> &Project {
        &self.found.project
    }

    fn asked(&self) -> Result<Asked, Report> {
        Ok(Asked::of(&self.instance, self.context.forwarded(self.project())?))
    }

    fn serve(&self, binds: Vec<Bind>, port: Option<u16>, told: Told) -> Result<Served, Report> {
        let owner = match Owner::begin(self.project(), &self.instance, self.context)? {
            Begun::Ready(owner) => owner,
            Begun::Interrupted(signal) => return Ok(Served { interrupted: Some(signal), ..Served::default() }),
        };
        let mut served = Served::default();
        let done = self.command(&mut served, &owner, binds, port, told);
        let failed = served.answer.as_ref().is_none_or(|answer| answer.exit_code != 0);
        let goes_back = failed && self.args.on_failure.is_some();
        if done.is_ok() && !goes_back {
            served.work = Some(Work::of(&self.asked()?)?);
        }
        if !owner.end()? {
            self.context.output.warn(format!("{}: its owner ended before the command did", self.instance.name));
        }
        if let (true, Some(id)) = (goes_back, &served.checkpoint) {
            snapshot::go_back(self.project(), &self.instance, id, self.context)?;
            served.restored = true;
            self.context.output.note(format!("{}: as it was before the command, which failed", self.instance.name));
        }
        done.map(|()| served)
    }

    fn command(
        &self,
        served: &mut Served,
        owner: &Owner,
        binds: Vec<Bind>,
        port: Option<u16>,
        told: Told,
    ) -> Result<(), Report> {
        if self.args.checkpoint() {
            served.checkpoint = Some(snapshot::keep(&self.asked()?, "run")?);
        }
        told.ready()?;
        let (args, context) = (self.args, self.context);
        let flags = &args.flags;
        let share = flags.over(Share::default());
        let inside = Inside {
            project: self.project(),
            instance: &self.instance,
            command: flags.command.clone(),
            cwd: flags.workdir.clone(),
            env: port.map(|port| format!("PORT={port}")).into_iter().chain(flags.env.clone()).collect(),
            user: None,
            stdin: None,
            is_recorded: true,
            binds,
            spares: owner.process(),
            group: (!confine::limits(&share).is_none()).then(|| confine::own_group(self.project())),
            share,
        };
        served.answer = Some(inside.carry_out(flags.interactive, flags.outlet(context), true, context)?);
        Ok(())
    }

    /// Removes it where it may go, and says where it stays.
    fn settle(&self, known: Option<&Work>) -> Result<Left, Report> {
        let (args, instance, name) = (self.args, &self.instance, &self.instance.name);
        let output = &self.context.output;
        let work = match known {
            Some(work) => Ok(work.clone()),
            None => Work::of(&self.asked()?),
        };
        let work = match work {
            Ok(work) => work,
            Err(report) => {
                output.warn(format!("{name}: it stays, for what is in it cannot be told"));
                output.report(&report);
                return Ok(Left { is_kept: true, work: None });
            }
        };
        let stays = args.keep || !args.rm && (self.found.is_old || args.kept_up);
        if work.is_nothing() && !stays || args.rm && args.force {
            made::remove(self.project(), instance)?;
            return Ok(Left { is_kept: false, work: Some(work) });
        }
        if args.rm {
            output.report(&work.in_the_way(instance).into());
        } else if !work.is_nothing() {
            output.note(format!("{name}: kept, {}; {}", work.told(), Work::advice(instance)));
        }
        Ok(Left { is_kept: true, work: Some(work) })
    }
}
