use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use nixbox_config::{Instance, Project};
use nixbox_report::{Report, codes};
use nixbox_state::{Holder, Lock, Process};
use nixbox_supervisor::{Guarded, Handle, Supervisor, guard};

use super::{DONE, ps};
use crate::changes::{Changes, Place};
use crate::context::Context;
use crate::presence::{Presence, deadline, presences};
use crate::readiness::{not_ready, until_ready};
use crate::supervise::{
    Choice, Client, Done, Follow, Heard, Order, Places, Session, State, Turn, UnitStatus, unit_failed, units,
};
use crate::view::{self, Left};
use crate::{presence, schedule, supervise};

/// devenv kills after five seconds; whoever stops us must find everything gone before that.
pub const GRACE: Duration = Duration::from_millis(4800);
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Start instances and jobs, keep them up, and stop them on Ctrl-C
///
/// For machines without a process manager. What depends on something waits for it; the rest starts at once. What ends
/// is started again as its `restart` says. A remote that is declared with `serve` is served before the instances that
/// sync with it. In the foreground a terminal shows a row for each, with keys, and anything
/// else the output, until Ctrl-C, TERM or HUP, which stops all of it in reverse order; a second Ctrl-C kills. Where an
/// `up` of this project runs already, here or detached, the order goes to that one. When the configuration file is
/// written anew, what has changed in it is restarted, what is new starts and what is gone stops; a file with mistakes
/// changes nothing. Instances that have an owner of another origin are left to whoever started it. The exit
/// code is that of the first thing that failed for good.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper up\n  nixbox-helper up sandbox worker\n  nixbox-helper up -d && make test; nixbox-helper down"
)]
pub struct Args {
    /// The instances and jobs, with what they need [default: every enabled one]
    pub names: Vec<String>,
    /// Leave them running and return once they are ready
    #[arg(short, long)]
    pub detach: bool,
    /// Do not follow the configuration file: changes wait for the next `up`
    #[arg(long)]
    pub no_reload: bool,
    /// Seconds that they have to become ready; 0 is for ever
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0, value_parser = super::wait::seconds)]
    pub timeout: f64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let loaded = context.load()?;
    schedule::check(&loaded)?;
    let project = loaded.project;
    let choice = Choice::of(&project, &args.names)?;
    let places = Places::of(&project);
    let reloads = !args.no_reload;
    // Before any thread exists: only this one goes on in the process that is guarded.
    if !args.detach {
        let guarded = guard(GRACE);
        if let Ok(Guarded::Over { code }) = guarded {
            if code >= 128 {
                places.clear(&project);
            }
            return Ok(code);
        }
        guarded?;
    }
    Up { choice, project: &project, places, context, until: deadline(args.timeout), reloads }.run(args.detach)
}

struct Up<'a> {
    choice: Choice<'a>,
    project: &'a Project,
    places: Places,
    context: &'a Context,
    until: Option<Instant>,
    /// Whoever keeps them up follows the configuration.
    reloads: bool,
}

/// What became of the units, as far as `up` waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Ready,
    Failed,
    Interrupted(Signal),
}

impl Up<'_> {
    fn run(self, detach: bool) -> Result<u8, Report> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let other = match detach {
                true => Some(Client::reach_or_begin(self.project, self.reloads, self.context)?),
                false => Client::reach(&self.places)?,
            };
            if let Some(other) = other {
                if let Some(code) = self.by(other, detach)? {
                    return Ok(code);
                }
            } else if let Some(lock) = self.places.lock()? {
                return self.here(&lock);
            } else if Instant::now() > until {
                return Err(supervise::not_answering().into());
            }
        }
    }

    /// Owners end with what has started them, and take a moment for it. Until then they look as if they ran.
    fn until_nobody_ends(&self) -> Result<(), Report> {
        for instance in &self.choice.instances {
            let ending = Lock::live_holder(&instance.paths.lock).filter(Holder::is_ending);
            if let Some(handle) = ending.map(|holder| Handle::of(holder.process)).transpose()?.flatten() {
                handle.wait(Some(Instant::now() + GRACE))?;
            }
        }
        Ok(())
    }

    /// What somebody else keeps up already: it is waited for, and left alone otherwise.
    fn elsewhere(&self, ours: &[UnitStatus]) -> Result<Vec<String>, Report> {
        self.until_nobody_ends()?;
        let is_ours = |one: &Instance| ours.iter().any(|unit| unit.name == one.name && unit.state.is_busy());
        let asked = &self.choice.instances;
        let mut found = Vec::new();
        for (instance, presence) in asked.iter().zip(presences(asked, Duration::from_secs(2))) {
            match presence? {
                Presence::Nobody => {}
                Presence::Here(_) if is_ours(instance) => {}
                // Who was told to stand still does not answer.
                Presence::Silent(_) if ours.iter().any(|unit| unit.name == instance.name && unit.paused) => {}
                Presence::Here(status) => {
                    let text = format!("{}: already running (process {})", instance.name, status.pid);
                    self.context.output.note(text + "; it is not ours and stays when we stop");
                    found.push(*instance);
                }
                Presence::Silent(holder) => return Err(presence::silent(&instance.name, holder.as_ref()).into()),
            }
        }
        let mut names: Vec<_> = found.iter().map(|instance| instance.name.clone()).collect();
        for unit in self.choice.remotes_elsewhere(ours) {
            self.context.output.note(format!("{unit}: already running; it is not ours and stays when we stop"));
            names.push(unit);
        }
        if !found.is_empty() {
            let changes = Changes::new(self.project, &found, Place::Here)?;
            for instance in &found {
                until_ready(instance, &changes, self.until)
                    .map_err(|why| not_ready(&instance.name, why, &instance.paths.log))?;
            }
        }
        Ok(names)
    }

    fn show(&self, units: &[UnitStatus]) -> Result<(), Report> {
        let Choice { instances, jobs, remotes, .. } = &self.choice;
        ps::show(ps::answer(units, instances, jobs, remotes)?, self.context)
    }

    /// This process keeps them up.
    fn here(self, _: &Lock) -> Result<u8, Report> {
        let supervisor = Supervisor::new(&SIGNALS)?;
        let mut session = Session::new(self.context, self.project, supervisor, &self.places)?;
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap_or_default();
        let processes = [Some(Process::current()?), Process::of(parent)?].into_iter().flatten().collect();
        session.open(&self.places, processes)?;
        let elsewhere = self.elsewhere(&[])?;
        let units = units(&self.choice, &elsewhere, self.project, self.context)?;
        let asked = self.choice.asked(&units);
        let is_named = !self.choice.named.is_empty();
        session.up(units, &asked, is_named, !is_named)?;
        if !is_named {
            session.keep_schedules()?;
        }
        if self.reloads {
            supervise::follow_file(self.context, self.project, session.drawn())?;
        }
        let view = self.view(&session)?;
        let settled = self.settle_here(&mut session)?;
        if settled == Settled::Ready && view.is_none() {
            // Ourselves we cannot ask.
            self.show(&session.statuses())?;
        }
        match settled {
            Settled::Interrupted(_) => session.end(None)?,
            _ => {
                if settled == Settled::Failed {
                    session.leave_schedules_alone();
                }
                if session.is_busy() && view.is_none() {
                    self.context.output.note("Ctrl-C stops them");
                }
                while session.is_busy() {
                    if let Turn::Signal(_) = session.turn(None)? {
                        session.end(None)?;
                    }
                }
            }
        }
        let (code, unsaid) = (session.exit(), session.unsaid());
        session.close()?;
        // It gives the terminal back when it hears that all is over.
        drop(view.map(JoinHandle::join));
        unsaid.iter().for_each(|report| self.context.output.report(report));
        Ok(code)
    }

    /// A picture of what happens, drawn by a thread that asks as any other process would.
    fn view(&self, session: &Session<'_>) -> Result<Option<JoinHandle<()>>, Report> {
        if !view::is_possible(&self.context.output) {
            return Ok(None);
        }
        let (drawn, project, places) = (session.drawn(), self.project.clone(), self.places.clone());
        drawn.store(true, Ordering::Release);
        let (me, output) = (Pid::this(), self.context.output);
        let draw = move || {
            let shown = Client::needed(&places)
                .and_then(|(client, mut follow)| view::show(&client, &mut follow, &project, "stop all"));
            drawn.store(false, Ordering::Release);
            match shown {
                Ok(Left::Over) => {}
                // As if it had been typed without a picture.
                Ok(Left::Asked | Left::Interrupted) => drop(kill(me, Signal::SIGINT)),
                Err(report) => output.report(&report),
            }
        };
        Ok(Some(std::thread::Builder::new().name("view".into()).spawn(draw)?))
    }

    fn settle_here(&self, session: &mut Session<'_>) -> Result<Settled, Report> {
        while !session.is_settled() {
            match session.turn(self.until)? {
                Turn::Signal(signal) => return Ok(Settled::Interrupted(signal)),
                Turn::Deadline => {
                    for unit in session.unsettled() {
                        session.failed(&self.late(&unit));
                    }
                    return Ok(Settled::Failed);
                }
                Turn::Went => {}
            }
        }
        Ok(if session.exit() == DONE { Settled::Ready } else { Settled::Failed })
    }

    fn late(&self, unit: &UnitStatus) -> Report {
        supervise::late(unit, self.project.instances.get(&unit.name))
    }

    /// Another process keeps them up, or is about to. `None` when it was about to end, and has.
    fn by(&self, (client, mut follow): (Client, Follow), detach: bool) -> Result<Option<u8>, Report> {
        let mask: SigSet = SIGNALS.into_iter().collect();
        mask.thread_block().map_err(std::io::Error::from)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(std::io::Error::from)?;
        let before = follow.units.clone();
        let ran = |name: &str| before.iter().any(|unit| unit.name == name && unit.state.is_busy());
        let elsewhere = self.elsewhere(&before)?;
        let units = units(&self.choice, &elsewhere, self.project, self.context)?;
        let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
        let is_named = !self.choice.named.is_empty();
        let mut order = Order::Up { names: self.choice.asked(&units), units, named: is_named, whole: !is_named };
        // What runs in another environment has other paths, and is not to be changed for that.
        if let (true, Order::Up { units, names, whole, .. }) = (client.is_elsewhere(&self.places), &mut order) {
            units.retain(|unit| !ran(&unit.name));
            names.retain(|name| !ran(name));
            *whole = false;
        }
        let Done { changed, removed, .. } = match client.order(&order, &mut follow) {
            Err(report) if report.failures.iter().any(|failure| failure.code == &codes::OWNER_STOPPING) => {
                return if follow.gone(self.until)? { Ok(None) } else { Err(report) };
            }
            done => done?,
        };
        for name in names.iter().filter(|name| ran(name) && !changed.contains(name)) {
            let pid = before.iter().find(|unit| unit.name == *name).and_then(|unit| unit.pid);
            let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            self.context.output.note(format!("{name}: already running{process}"));
        }
        for (names, what) in
            [(&changed, "has changed, and is restarted"), (&removed, "is no longer declared, and stops")]
        {
            names.iter().for_each(|name| self.context.output.note(format!("{name}: {what}")));
        }
        let (settled, failure) =
            self.settle_by(&mut follow, &names, &|name| !ran(name) || changed.iter().any(|one| one == name), &signals)?;
        match settled {
            Settled::Ready => {
                self.show(&follow.units)?;
                if !detach {
                    self.context.output.note("another process keeps them up; `nixbox-helper down` stops them");
                }
                Ok(Some(DONE))
            }
            Settled::Failed | Settled::Interrupted(_) => {
                let is_busy = |name: &String| follow.unit(name).is_some_and(|unit| unit.state.is_busy());
                let begun: Vec<_> = names.into_iter().filter(|name| !ran(name) && is_busy(name)).collect();
                if !begun.is_empty() {
                    let stop = Order::Stop { names: begun.clone(), grace_ms: None };
                    // Without an answer it has ended meanwhile, and with it all that was begun.
                    let _ = client.order(&stop, &mut follow);
                    supervise::until_stopped(&mut follow, &begun, Some(Instant::now() + GRACE * 2))?;
                }
                // Of one that was begun for this, nothing stays.
                if before.is_empty() && !follow.units.iter().any(|unit| unit.state.is_busy()) {
                    let all = Order::Stop { names: Vec::new(), grace_ms: None };
                    let _ = client.order(&all, &mut follow);
                }
                // With nothing left to keep up it ends, and then whoever follows it sees that.
                if !follow.units.iter().any(|unit| unit.state.is_busy()) {
                    follow.gone(Some(Instant::now() + GRACE))?;
                }
                match (settled, failure) {
                    (Settled::Interrupted(signal), _) => Ok(Some(128 + signal as u8)),
                    (_, code) => Ok(Some(code)),
                }
            }
        }
    }

    fn settle_by(
        &self,
        follow: &mut Follow,
        names: &[String],
        is_new: &dyn Fn(&str) -> bool,
        signals: &SignalFd,
    ) -> Result<(Settled, u8), Report> {
        let (mut told, mut said, mut code) = (Vec::new(), Vec::new(), DONE);
        loop {
            let units: Vec<_> = names.iter().map(|name| follow.unit(name).cloned()).collect();
            for unit in units.iter().flatten() {
                let name = &unit.name;
                match unit.state {
                    State::Ready | State::Completed if is_new(name) && !said.contains(&(name.clone(), unit.state)) => {
                        said.push((name.clone(), unit.state));
                        supervise::tell_ready(unit, self.context);
                    }
                    State::Failed if !told.contains(name) => {
                        told.push(name.clone());
                        let is_instance = self.project.instances.contains_key(name);
                        let report = unit_failed(unit, is_instance, said.contains(&(name.clone(), State::Ready)));
                        self.context.output.report(&report);
                        if code == DONE {
                            code = report.exit();
                        }
                    }
                    _ => {}
                }
            }
            if units.iter().all(|unit| unit.as_ref().is_some_and(|unit| !unit.state.is_coming())) {
                return Ok((if code == DONE { Settled::Ready } else { Settled::Failed }, code));
            }
            match follow.next(self.until, Some(signals.as_fd()))? {
                Heard::Changed(_) | Heard::Said(_) => {}
                Heard::Also => {
                    let told = signals.read_signal().map_err(std::io::Error::from)?;
                    if let Some(signal) = told.and_then(|info| Signal::try_from(info.ssi_signo as i32).ok()) {
                        return Ok((Settled::Interrupted(signal), code));
                    }
                }
                Heard::Deadline => {
                    for unit in units.iter().flatten().filter(|unit| unit.state.is_coming()) {
                        self.context.output.report(&self.late(unit));
                    }
                    return Ok((Settled::Failed, codes::UNIT_NOT_READY.exit as u8));
                }
                Heard::Over => return Err(supervise::not_answering().into()),
            }
        }
    }
}
