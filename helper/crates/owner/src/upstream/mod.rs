//! Upstream's own program as the engine of an instance: `agentfs mount --foreground` or `agentfs serve nfs`, looked
//! after. It has the database to itself for as long as it runs, so this owner can answer nothing about it.
//!
//! What it needs looking after for is in the words of the functions below: each stands for something that it was seen
//! to do.

mod find;
mod preflight;
mod ready;

pub(crate) use find::on_path;
pub(crate) use ready::probe;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nixbox_config::Instance;
use nixbox_engine::{Database, Options};
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Spec;

use crate::failure;
use crate::program::Program;
use crate::stop::{Reason, Stop};
use crate::surfaces::mount::{Prepared, Wanted};

/// It exits within milliseconds of its mount's end.
const EXITS_WITHIN: Duration = Duration::from_secs(1);
const UNMOUNT_GRACE: Duration = Duration::from_millis(1000);
const RETRY: Duration = Duration::from_millis(20);

/// What is to be run for an instance.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) instance: Instance,
    /// Where the configuration or the environment says that the program is.
    pub(crate) program: Option<PathBuf>,
    /// How the database is opened before and after it.
    pub(crate) options: Options,
}

pub(crate) struct Upstream {
    program: Program,
    serves: Serves,
    /// Without symbolic links.
    database: PathBuf,
    options: Options,
}

enum Serves {
    Mount(Prepared),
    Nfs(SocketAddr),
}

impl Upstream {
    /// Comes back when what it serves was seen to answer. `stop`: a start that is told to stop leaves nothing.
    pub(crate) fn start(order: Order, stop: &Stop) -> Result<Self, Report> {
        let found = find::program(order.program.as_deref())?;
        let wanted = Wanted::of(&order.instance);
        if let Some(wanted) = &wanted {
            wanted.preflight_by_fuse()?;
        }
        let database = preflight::database(&order)?;
        preflight::descriptors(&order.instance)?;
        let (serves, args) = match wanted {
            Some(wanted) => {
                let prepared = wanted.prepare(&database)?;
                let args = mount_args(&database, prepared.path(), &order.instance);
                (Serves::Mount(prepared), args)
            }
            None => {
                let nfs = order.instance.nfs.as_ref().ok_or_else(nothing_to_serve)?;
                (Serves::Nfs(SocketAddr::new(nfs.bind, nfs.port)), nfs_args(&database, nfs.bind.to_string(), nfs.port))
            }
        };
        let on_end = stop.clone();
        // Its log would come on standard output, among what somebody reads.
        let spec = Spec::new(&found).args(args).env("RUST_LOG", "off");
        let said = |line: &str| tracing::info!(agentfs = line);
        let program = match Program::start(spec, said, move |end| on_end.request(Reason::UpstreamEnded(end))) {
            Ok(program) => program,
            Err(error) => {
                serves.give_back();
                return Err(failure::upstream_missing(&found, &error).into());
            }
        };
        let upstream = Self { program, serves, database, options: order.options };
        let ready = match &upstream.serves {
            Serves::Mount(prepared) => ready::mount(&upstream.program, prepared.path(), &upstream.database, stop),
            Serves::Nfs(address) => ready::nfs(&upstream.program, *address, stop),
        };
        match ready {
            Ok(()) => Ok(upstream),
            Err(report) => {
                upstream.stop(stop);
                Err(report)
            }
        }
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    pub(crate) fn mount(&self) -> Option<&Path> {
        match &self.serves {
            Serves::Mount(prepared) => Some(prepared.path()),
            Serves::Nfs(_) => None,
        }
    }

    pub(crate) fn nfs(&self) -> Option<SocketAddr> {
        match self.serves {
            Serves::Nfs(address) => Some(address),
            Serves::Mount(_) => None,
        }
    }

    /// It unmounts on no signal, and ends by itself when somebody else has unmounted: so that is what is done. One that
    /// is still there afterwards is killed: at its end it would unmount whatever lies at its mountpoint by then.
    pub(crate) fn stop(self, stop: &Stop) {
        match &self.serves {
            Serves::Mount(prepared) => self.unmount(prepared.path(), stop),
            Serves::Nfs(_) => self.program.interrupt(),
        }
        if !self.program.ends_within(EXITS_WITHIN) {
            tracing::warn!("the program did not end, and was killed");
            self.program.kill();
            self.program.ends_within(EXITS_WITHIN);
        }
        if let Serves::Mount(prepared) = &self.serves
            && let Err(error) = ready::clear(prepared.path(), &self.database)
        {
            tracing::error!(%error, "its mount could not be taken away");
        }
        self.serves.give_back();
        // It leaves its log as long as it ever was.
        if let Err(error) = Database::open_or_create(&self.database, &self.options).and_then(Database::close) {
            tracing::warn!(%error, "the database's log could not be taken up into it");
        }
    }

    fn unmount(&self, path: &Path, stop: &Stop) {
        let until = std::time::Instant::now() + UNMOUNT_GRACE;
        while !self.program.has_ended() && ready::is_mounted(path, &self.database) {
            match nixbox_mounts::detach::politely(path) {
                Ok(()) => return,
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {}
                Err(error) => tracing::warn!(%error, "unmounting failed, trying again"),
            }
            if stop.is_hurried() || std::time::Instant::now() >= until {
                let users: Vec<_> = nixbox_mounts::users_of(path, 8).iter().map(ToString::to_string).collect();
                tracing::warn!(path = %path.display(), users = users.join(", "), "unmounted while in use");
                // What is in its files and not yet written is lost with it; nothing else ends its users' wait.
                self.program.kill();
                return;
            }
            std::thread::sleep(RETRY);
        }
    }
}

impl Serves {
    fn give_back(self) {
        if let Self::Mount(prepared) = self {
            prepared.give_back();
        }
    }
}

fn mount_args(database: &Path, mountpoint: &Path, instance: &Instance) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["mount".into(), "--foreground".into()];
    if instance.mount.as_ref().is_some_and(|mount| mount.allow_other) {
        args.push("--system".into());
    } else if instance.mount.as_ref().is_some_and(|mount| mount.allow_root) {
        args.push("--allow-root".into());
    }
    // By its path: a name would mean another database in another folder, and mountinfo would not say which.
    args.extend(["--".into(), database.into(), mountpoint.into()]);
    args
}

fn nfs_args(database: &Path, bind: String, port: u16) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["serve".into(), "nfs".into()];
    args.extend(["--bind".into(), bind.into(), "--port".into(), port.to_string().into(), "--".into(), database.into()]);
    args
}

/// The configuration is checked for this.
fn nothing_to_serve() -> Report {
    Failure::new(&codes::CONFIG_ENGINE, "there is nothing for `agentfs` to serve")
        .help("set `mount` or `nfs`, or `engine = \"builtin\"`")
        .into()
}
