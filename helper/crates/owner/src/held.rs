//! The hold on an instance: its lock, which no two processes have at once.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nixbox_config::Instance;
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock, LockError};

use crate::failure;
use crate::moment;

/// How long a holder may take to write its name; until then the file says who held the lock before.
const NAMED_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait for one that holds it for a single request.
const REQUEST_DONE_WITHIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(2);

/// `socket`: where the holder can be spoken to; none for a single request.
pub(crate) fn take(instance: &Instance, since: u64, socket: Option<&Path>) -> Result<Lock, Report> {
    take_at(&instance.paths.lock, since, socket).map_err(|error| match error {
        LockError::Held(holder) => by(&instance.name, holder.as_ref()).into(),
        LockError::Io { path, source } => failure::io(&path, &source).into(),
    })
}

/// The same by the lock's file alone.
pub(crate) fn take_at(lock: &Path, since: u64, socket: Option<&Path>) -> Result<Lock, LockError> {
    let me = Holder::me(since, socket).map_err(|source| LockError::Io { path: "/proc/self/stat".into(), source })?;
    let began = Instant::now();
    loop {
        let held = match Lock::acquire(lock, &me) {
            Err(LockError::Held(holder)) => holder.filter(|holder| holder.process.is_alive()),
            other => return other,
        };
        let patience = match &held {
            Some(Holder { socket: Some(_), .. }) => return Err(LockError::Held(held)),
            Some(_) => REQUEST_DONE_WITHIN,
            None => NAMED_WITHIN,
        };
        if began.elapsed() >= patience {
            return Err(LockError::Held(held));
        }
        thread::sleep(RETRY);
    }
}

pub(crate) fn by(name: &str, holder: Option<&Holder>) -> Failure {
    let what = match holder {
        Some(holder) => format!(
            "instance `{name}` is held by the owner with pid {} since {}",
            holder.process.pid,
            moment::utc(holder.since)
        ),
        None => format!("instance `{name}` is held by another owner"),
    };
    Failure::new(&codes::OWNER_HELD, what)
        .why("a database has one owner at a time")
        .help(format!("use that owner, or stop it with `nixbox-helper stop {name}`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nixbox_config::Paths;
    use nixbox_report::Exit;
    use nixbox_state::Process;

    fn instance(dir: &Path) -> Instance {
        let path = |name: &str| dir.join(name);
        Instance {
            name: "a".into(),
            enable: true,
            description: String::new(),
            engine: Default::default(),
            base: None,
            mode: Default::default(),
            limits: Default::default(),
            labels: Default::default(),
            env: Default::default(),
            mount: None,
            http: None,
            nfs: None,
            encryption: None,
            sync: None,
            partial: None,
            hooks: Default::default(),
            mcp_tools: Vec::new(),
            depends_on: Default::default(),
            restart: Default::default(),
            health: None,
            made: None,
            paths: Paths {
                hooks: Default::default(),
                db: path("a.db"),
                dir: path("a.d"),
                lock: path("owner.lock"),
                socket: path("a.sock"),
                record: path("a.json"),
                token: path("a.token"),
                log: path("a.log"),
            },
        }
    }

    #[test]
    fn a_second_owner_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let instance = instance(dir.path());
        let _first = take(&instance, 1_000, Some(Path::new("/s"))).unwrap();
        let report = take(&instance, 2_000, Some(Path::new("/s"))).unwrap_err();
        assert_eq!(report.exit(), Exit::Held as u8);
        let what = &report.failures[0].what;
        assert!(what.contains(&format!("pid {} since 1970-01-01 00:00:01 UTC", std::process::id())), "{what}");
    }

    #[test]
    fn an_owner_waits_for_a_single_request_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let instance = instance(dir.path());
        let request = take(&instance, 1_000, None).unwrap();
        let ends = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(request);
        });
        take(&instance, 2_000, Some(Path::new("/s"))).unwrap();
        ends.join().unwrap();
    }

    #[test]
    fn the_name_of_a_dead_holder_is_not_taken_for_the_present_one() {
        let dir = tempfile::tempdir().unwrap();
        let instance = instance(dir.path());
        let dead = Process { pid: i32::MAX, start_time: 1 };
        let dead = Holder { process: dead, since: 1, socket: Some("/s".into()), tied_to: None, clears: false };
        std::fs::write(&instance.paths.lock, serde_json::to_vec(&dead).unwrap()).unwrap();
        take(&instance, 2_000, Some(Path::new("/s"))).unwrap();
    }
}
