use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nixbox_config::Project;
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock, LockError};

use crate::confine;
use crate::context::io_failure;
use crate::presence::now;

const CLEARED: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(2);

/// Where whoever keeps a project up has its things. No instance's name begins with a dot.
#[derive(Debug, Clone)]
pub struct Places {
    /// Beside the data, so that two environments with different runtime folders meet here.
    pub lock: PathBuf,
    /// What became of each unit.
    pub state: PathBuf,
    pub events: PathBuf,
    pub socket: PathBuf,
    /// Where units say that they are ready.
    pub notices: PathBuf,
    /// What a detached one has to say.
    pub log: PathBuf,
    runtime_dir: PathBuf,
}

impl Places {
    pub fn of(project: &Project) -> Self {
        let (kept, runtime) = (project.data_dir.join(".units"), &project.runtime_dir);
        // Projects with data of their own may share a runtime folder.
        let mark = mark(project.data_dir.as_os_str().as_encoded_bytes());
        let own = |extension| runtime.join(format!(".up-{mark}.{extension}"));
        Self {
            lock: kept.join("supervisor.lock"),
            state: kept.join("state.json"),
            events: kept.join("events.log"),
            socket: own("sock"),
            notices: own("notify"),
            log: own("log"),
            runtime_dir: runtime.clone(),
        }
    }

    pub fn prepare(&self) -> Result<(), Report> {
        nixbox_state::create_private_dir(&self.runtime_dir).map_err(|error| {
            Failure::new(&codes::OWNER_RUNTIME_DIR, format!("{} cannot be used", self.runtime_dir.display()))
                .why(error)
                .help("set `runtime_dir` to a folder of your own")
        })?;
        let kept = self.lock.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(kept).map_err(|error| io_failure("create", kept, error))
    }

    /// `None` where another process has it.
    pub fn lock(&self) -> Result<Option<Lock>, Report> {
        let me = Holder::me(now(), Some(&self.socket))?;
        let until = Instant::now() + CLEARED;
        loop {
            let lock = self.lock_as(&me)?;
            // Who clears up after a killed one has it for a moment.
            if lock.is_some() || !self.holder().is_some_and(|holder| holder.clears) || Instant::now() > until {
                return Ok(lock);
            }
            std::thread::sleep(RETRY);
        }
    }

    fn lock_as(&self, holder: &Holder) -> Result<Option<Lock>, Report> {
        self.prepare()?;
        match Lock::acquire(&self.lock, holder) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held(_)) => Ok(None),
            Err(LockError::Io { path, source }) => Err(io_failure("lock", &path, source)),
        }
    }

    /// What a killed one has left, where nobody has come after it.
    pub fn clear(&self, project: &Project) {
        let Ok(Some(_lock)) = Holder::clearing(now()).map_err(Report::from).and_then(|me| self.lock_as(&me)) else {
            return;
        };
        confine::clear(project);
        for path in [&self.socket, &self.notices] {
            let _ = std::fs::remove_file(path);
        }
    }

    pub fn holder(&self) -> Option<Holder> {
        Lock::live_holder(&self.lock)
    }
}

/// Eight hex digits, the same in every build: FNV-1a, folded to 32 bits.
pub fn mark(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{:08x}", (hash >> 32) as u32 ^ hash as u32)
}
