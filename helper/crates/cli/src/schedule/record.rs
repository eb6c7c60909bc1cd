//! What became of each schedule, as a file of its own beside what is known of the units: written by whoever keeps it, by
//! each run, and by those who pause it, one after another.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};
use nixbox_config::Project;
use nixbox_report::Report;
use nixbox_state::{Process, publish_json, read_json, write_json};
use serde::{Deserialize, Serialize};

use crate::context::io_failure;

/// The version of the file; another one is as if it were not there.
const VERSION: u32 = 1;

/// Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    version: u32,
    #[serde(default)]
    pub paused: bool,
    /// Up to here its times were seen by whoever kept it.
    #[serde(default)]
    pub seen: Option<i64>,
    /// Which times these are.
    #[serde(default)]
    pub times: Option<String>,
    #[serde(default)]
    pub last: Option<Run>,
    /// How often its time came while it still ran, and the last of these.
    #[serde(default)]
    pub left_out: u64,
    #[serde(default)]
    pub left_out_at: Option<i64>,
    /// The last that came while nobody kept it, and was not caught up with.
    #[serde(default)]
    pub missed_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub started: i64,
    pub process: Process,
    /// Somebody has asked for it.
    pub by_hand: bool,
    pub ended: Option<i64>,
    pub exit_code: Option<i32>,
}

impl Run {
    pub fn is_running(&self) -> bool {
        self.ended.is_none() && self.process.is_alive()
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            version: VERSION,
            paused: false,
            seen: None,
            times: None,
            last: None,
            left_out: 0,
            left_out_at: None,
            missed_at: None,
        }
    }
}

/// Whether it is to be there after the machine was switched off at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Light,
    Durable,
}

#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

impl Records {
    pub fn of(project: &Project) -> Self {
        Self { folder: project.data_dir.join(".units").join("schedules") }
    }

    pub fn read(&self, name: &str) -> Recorded {
        // What is torn or of another version says nothing that could not be lost.
        let found: Option<Recorded> = read_json(&self.path(name, "json")).ok().flatten();
        found.filter(|found| found.version == VERSION).unwrap_or_default()
    }

    /// Alone with it.
    pub fn change(&self, name: &str, weight: Weight, change: impl FnOnce(&mut Recorded)) -> Result<Recorded, Report> {
        let _alone = self.lock(name, "lock", FlockArg::LockExclusive)?;
        let mut now = self.read(name);
        let before = now.clone();
        change(&mut now);
        let path = self.path(name, "json");
        if now != before {
            let done = match weight {
                Weight::Light => publish_json(&path, &now, 0o600),
                Weight::Durable => write_json(&path, &now, 0o600),
            };
            done.map_err(|error| io_failure("write", &path, error))?;
        }
        Ok(now)
    }

    /// Held for as long as one runs, however that ends. `None` where one does, unless `waits`.
    pub fn turn(&self, name: &str, waits: bool) -> Result<Option<Turn>, Report> {
        let how = if waits { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock };
        Ok(self.lock(name, "run", how)?.map(Turn))
    }

    /// Of whoever keeps all of them.
    pub fn keeper_lock(&self) -> PathBuf {
        self.folder.join("keeper.lock")
    }

    pub fn prepare(&self) -> Result<(), Report> {
        std::fs::create_dir_all(&self.folder).map_err(|error| io_failure("create", &self.folder, error))
    }

    fn lock(&self, name: &str, what: &str, how: FlockArg) -> Result<Option<Flock<File>>, Report> {
        self.prepare()?;
        let path = self.path(name, what);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open().map_err(|error| io_failure("lock", &path, error))?;
        loop {
            match Flock::lock(file, how) {
                Ok(held) => return Ok(Some(held)),
                Err((back, nix::errno::Errno::EINTR)) => file = back,
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, errno)) => return Err(io_failure("lock", &path, errno.into())),
            }
        }
    }

    fn path(&self, name: &str, what: &str) -> PathBuf {
        self.folder.join(format!("{name}.{what}"))
    }
}

/// The right to run, where one runs after another.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code, reason = "it is held")] Flock<File>);
