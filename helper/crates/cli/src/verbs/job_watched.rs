//! A job that is started anew when something in its instance changes.

use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nixbox_config::{Engine, Instance, Job, Patterns, Project, RestartOn, Watch};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::{Ended, Notice};

use super::exec::Inside;
use crate::asking::Asked;
use crate::context::Context;
use crate::watching::{Change, Following, Place, any, follow_verbs};

/// What editors and version control keep beside the files.
const NEVER: [&str; 6] = [".git", ".hg", "*~", "*.sw?", ".#*", "#*#"];

/// What ends it while nothing runs. Other signals are for the command.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

pub struct Watched<'p> {
    pub inside: Inside<'p>,
    pub job: &'p Job,
    pub watch: &'p Watch,
    /// Where whoever keeps it up listens.
    pub notices: Option<PathBuf>,
}

impl Watched<'_> {
    pub fn run(self, context: &Context) -> Result<u8, Report> {
        let places = places(self.inside.project, self.inside.instance, self.watch);
        let (name, output) = (self.job.name.clone(), context.output);
        let full = move |why| output.report(&blind(&name, why).into());
        let inside = places.first().cloned();
        let mut following = match Following::begin(places, self.watch.debounce.0, full.clone()) {
            Ok(following) => following,
            // It is kept up all the same.
            Err(error) => {
                full(Errno::from_raw(error.raw_os_error().unwrap_or_default()));
                return self.inside.run_to_the_end(context);
            }
        };
        // Upstream's engine answers no requests while it serves.
        if let (Some(inside), Engine::Builtin) = (inside, self.inside.instance.engine) {
            let asked = Asked::of(self.inside.instance, context.forwarded(self.inside.project)?);
            follow_verbs(&asked, inside, following.teller())?;
        }
        loop {
            // What it finds when it starts is not news.
            following.forget();
            self.tell(&Notice::Ready);
            let ending = self.inside.run_until(following.as_fd(), context)?;
            if ending.told.is_some() {
                return Ok(ending.code());
            }
            let change = match following.take() {
                Some(change) => change,
                None if matches!(self.job.restart.on, RestartOn::Always | RestartOn::UnlessStopped) => {
                    return Ok(ending.code());
                }
                None => {
                    let ended = Ended { status: ending.status, asked: false, last: Vec::new() };
                    let rests = format!("ended with {} and waits for a change", ended.describe());
                    context.output.note(format!("{}: {rests}", self.job.name));
                    self.tell(&Notice::Rests(format!("it {rests}")));
                    match self.next(&mut following)? {
                        Ok(change) => change,
                        Err(signal) => return Ok(128 + signal as u8),
                    }
                }
            };
            context.output.note(format!("{}: {change}", self.job.name));
            self.tell(&Notice::Anew(change.to_string()));
        }
    }

    /// The next change, or what ends the job before there is one.
    fn next(&self, following: &mut Following) -> Result<Result<Change, Signal>, Report> {
        let signals = ENDING.into_iter().collect::<SigSet>();
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(std::io::Error::from)?;
        loop {
            any(&[following.as_fd(), signals.as_fd()])?;
            let info = signals.read_signal().map_err(std::io::Error::from)?;
            if let Some(signal) = info.and_then(|info| Signal::try_from(info.ssi_signo as i32).ok()) {
                return Ok(Err(signal));
            }
            if let Some(change) = following.take() {
                return Ok(Ok(change));
            }
        }
    }

    /// Nobody has to listen.
    fn tell(&self, notice: &Notice) {
        if let Some(at) = &self.notices {
            let _ = notice.tell(at);
        }
    }
}

/// First the instance as the job sees it, then the folder that it lies over: what is changed there is seen in the instance, but
/// the kernel does not tell of it there.
fn places(project: &Project, instance: &Instance, watch: &Watch) -> Vec<Place> {
    let paths = match watch.paths.is_empty() {
        true => vec![PathBuf::new()],
        // As the kernel's words begin.
        false => watch
            .paths
            .iter()
            .map(|path| path.components().filter(|part| *part != Component::CurDir).collect())
            .collect(),
    };
    let excluded = instance.base.iter().flat_map(|base| &base.exclude);
    let never = NEVER.map(str::to_owned);
    let ignore = Patterns::new(watch.ignore.iter().chain(excluded).chain(&never));
    let mounts = project.instances.values().filter_map(|one| one.mount.as_ref()).map(|mount| mount.path.clone());
    let own = [project.data_dir.clone(), project.runtime_dir.clone()];
    let place = |root: &Path, hidden: Vec<PathBuf>| {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Place { root, paths: paths.clone(), ignore: ignore.clone(), hidden }
    };
    let mount = instance.mount.iter().map(|mount| place(&mount.path, Vec::new()));
    let base = instance.base.iter().map(|base| place(&base.path, mounts.clone().chain(own.clone()).collect()));
    mount.chain(base).collect()
}

fn blind(job: &str, why: Errno) -> Failure {
    let failure = Failure::new(&codes::JOB_WATCH, format!("job `{job}` does not see all that changes"));
    match why {
        Errno::ENOSPC => failure
            .why("all that this user may watch (fs.inotify.max_user_watches) is watched")
            .help("name fewer `paths`, or `ignore` large folders; root can raise the number with sysctl"),
        Errno::EMFILE => failure
            .why("this user has as many watches open as one may (fs.inotify.max_user_instances)")
            .help("end programs that watch files; root can raise the number with sysctl"),
        other => failure.why(other.desc()).help("it runs on, and `nixbox-helper restart` starts it anew"),
    }
}
