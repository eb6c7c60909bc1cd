//! The owner of an instance for as long as one command runs in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nixbox_config::{Instance, LogLevel, Project};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::Process;
use nixbox_supervisor::{Event, Handle, Id, Notice, Sink, Spec, Supervisor};

use crate::context::Context;
use crate::made::owner_log;
use crate::readiness::{NotReady, not_ready};
use crate::{owner_binary, presence, stopping};

const PATIENCE: Duration = Duration::from_secs(60);
/// What it has acknowledged is on disk; this is for taking the mount away and leaving the database tidy.
const GRACE: Duration = Duration::from_secs(10);
/// The command's own; whoever gets one of them before it runs does not begin it.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

pub struct Owner {
    supervisor: Supervisor,
    id: Id,
    instance: Instance,
    /// That it ends is as it should be.
    is_over: Arc<AtomicBool>,
}

pub enum Begun {
    Ready(Box<Owner>),
    /// By this signal, and it has ended again.
    Interrupted(Signal),
}

impl Owner {
    /// Comes back when the instance is ready. To be called while there is one thread.
    pub fn begin(project: &Project, instance: &Instance, context: &Context) -> Result<Begun, Report> {
        nixbox_state::create_private_dir(&project.runtime_dir).map_err(|error| {
            Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used", project.runtime_dir.display()))
                .why(error)
                .help("set `runtime_dir` to a folder of your own")
        })?;
        let mut supervisor = Supervisor::new(&SIGNALS)?;
        let notices = project.runtime_dir.join(format!(".run-{}.notify", std::process::id()));
        supervisor.listen(&notices)?;
        let mut words = context.forwarded(project)?;
        if context.global.log_level.is_none() {
            words.extend(["--log-level".into(), LogLevel::Warn.to_string().into()]);
        }
        let log = owner_log(instance);
        let spec = Spec::new(owner_binary::find()?)
            .args(["serve", &instance.name])
            .args(words)
            .env("NIXBOX_LOG_FORMAT", "human")
            .env("NOTIFY_SOCKET", &notices)
            .cwd(&project.root)
            .output(Sink::Append(log.clone()));
        let id = supervisor.start(spec)?;
        let mut owner = Self { supervisor, id, instance: instance.clone(), is_over: Arc::default() };
        let until = Instant::now() + PATIENCE;
        loop {
            match owner.supervisor.next(Some(until))? {
                Event::Said { notice: Notice::Ready, .. } => {
                    owner.watch()?;
                    return Ok(Begun::Ready(Box::new(owner)));
                }
                Event::Ended { ended, .. } => {
                    let said = std::fs::read_to_string(&log).unwrap_or_default();
                    stopping::clear(instance)?;
                    return Err(presence::owner_failed(&instance.name, ended.status.code(), &said));
                }
                Event::Signal(signal) => {
                    owner.end()?;
                    return Ok(Begun::Interrupted(signal));
                }
                Event::Deadline => {
                    owner.end()?;
                    return Err(not_ready(&instance.name, NotReady::Starting, &log).into());
                }
                Event::Said { .. } | Event::Output { .. } | Event::GraceOver { .. } | Event::Woken => {}
            }
        }
    }

    pub fn process(&self) -> Option<Process> {
        self.supervisor.child(self.id).and_then(|child| child.process())
    }

    /// A command whose instance is gone is told to end: it would find an empty folder.
    fn watch(&self) -> Result<(), Report> {
        let Some(handle) = self.process().map(Handle::of).transpose()?.flatten() else { return Ok(()) };
        let is_over = self.is_over.clone();
        let wait = move || {
            if handle.wait(None).is_ok() && !is_over.load(Ordering::Acquire) {
                let _ = kill(Pid::this(), Signal::SIGTERM);
            }
        };
        thread::Builder::new().name("owner".into()).stack_size(64 * 1024).spawn(wait)?;
        Ok(())
    }

    /// Returns when it is gone, and nothing of it is left but what it keeps. False where it had ended before.
    pub fn end(mut self) -> Result<bool, Report> {
        self.is_over.store(true, Ordering::Release);
        let was_there = self.process().and_then(|process| Handle::of(process).ok().flatten()).is_some();
        self.supervisor.stop(self.id, GRACE)?;
        while self.supervisor.running() > 0 {
            self.supervisor.next(None)?;
        }
        stopping::clear(&self.instance)?;
        Ok(was_there)
    }
}
