//! Is somebody serving this instance, and what does it say?

use std::path::Path;
use std::time::{Duration, Instant};

use nixbox_config::Instance;
use nixbox_control::{Client, Error, Status};
use nixbox_mounts::within;
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Holder, Lock};

use crate::recorded;

#[derive(Debug)]
pub enum Presence {
    Nobody,
    /// It holds the instance and did not answer in time.
    Silent(Option<Holder>),
    Here(Box<Status>),
}

/// Where it may be spoken to: at the configured place, and where the holder of the lock says, which differs when
/// it was started in another environment.
pub fn connect(instance: &Instance) -> Result<Client, Error> {
    connect_to(&instance.paths.socket, &instance.paths.lock)
}

fn connect_to(socket: &Path, lock: &Path) -> Result<Client, Error> {
    match Client::connect(socket) {
        Err(Error::NotRunning) => match Lock::live_holder(lock).and_then(|holder| holder.socket) {
            Some(other) if other != *socket => Client::connect(&other),
            _ => Err(Error::NotRunning),
        },
        reached => reached,
    }
}

pub fn presence(instance: &Instance, patience: Duration) -> Result<Presence, Report> {
    let until = Instant::now() + patience.min(BETWEEN_LOCK_AND_SOCKET);
    loop {
        match look(instance, patience)? {
            Seen::Presence(presence) => return Ok(presence),
            Seen::WithoutSocket(holder) if Instant::now() >= until => return Ok(Presence::Silent(Some(holder))),
            Seen::WithoutSocket(_) => std::thread::sleep(RETRY),
        }
    }
}

/// An owner that comes or goes, or a single request such as `init`, has the lock and no socket for a moment.
const BETWEEN_LOCK_AND_SOCKET: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(2);

enum Seen {
    Presence(Presence),
    WithoutSocket(Holder),
}

fn look(instance: &Instance, patience: Duration) -> Result<Seen, Report> {
    let (socket, lock) = (instance.paths.socket.clone(), instance.paths.lock.clone());
    let answer = within(patience, move || connect_to(&socket, &lock)?.status(Some(patience)));
    Ok(Seen::Presence(match answer.unwrap_or(Err(Error::TimedOut)) {
        Ok(status) if recorded::speaks_for(&status, instance) => Presence::Here(Box::new(status)),
        Ok(_) => Presence::Nobody,
        Err(Error::NotRunning | Error::Closed) => match Lock::live_holder(&instance.paths.lock) {
            Some(holder) => return Ok(Seen::WithoutSocket(holder)),
            None => Presence::Nobody,
        },
        Err(Error::TimedOut) => Presence::Silent(Lock::live_holder(&instance.paths.lock)),
        Err(error) => {
            return Err(Failure::new(
                &codes::OWNER_SILENT,
                format!("the owner of `{}` cannot be asked", instance.name),
            )
            .why(&error)
            .help(match &error {
                Error::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
                    "another user has started it: ask or stop it as that user".to_owned()
                }
                _ => format!("stop it with `nixbox-helper stop {}`", instance.name),
            })
            .into());
        }
    }))
}

/// All of them at once: together they take as long as the slowest.
pub fn presences(instances: &[&Instance], patience: Duration) -> Vec<Result<Presence, Report>> {
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            instances.iter().map(|instance| scope.spawn(move || presence(instance, patience))).collect();
        asked.into_iter().map(|thread| thread.join().unwrap_or(Ok(Presence::Nobody))).collect()
    })
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// Zero seconds mean for ever.
pub fn deadline(seconds: f64) -> Option<Instant> {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if time.is_zero() { None } else { Instant::now().checked_add(time) }
}

pub fn not_running(name: &str) -> Failure {
    Failure::new(&codes::OWNER_NOT_RUNNING, format!("instance `{name}` is not running"))
        .why("no owner holds its lock or answers at its socket")
        .help(format!("start it with `nixbox-helper up {name}`"))
}

pub fn silent(name: &str, holder: Option<&Holder>) -> Failure {
    let failure = Failure::new(&codes::OWNER_SILENT, format!("the owner of `{name}` does not answer"));
    let failure = match holder {
        Some(holder) => {
            failure.why(format_args!("process {} holds the instance and is busy or stopped", holder.process.pid))
        }
        None => failure.why("something accepts connections at its socket and says nothing"),
    };
    failure.help(format!("end it with `nixbox-helper stop {name}`, which kills it if need be"))
}

/// What an owner that ended badly had to say: its own failures, where its last lines hold any.
pub fn owner_failed(name: &str, code: Option<i32>, said: &str) -> Report {
    let own = [relayed(said), relayed_json(said)].concat();
    if !own.is_empty() {
        return own.into();
    }
    let last: Vec<_> = said.lines().rev().take(8).collect();
    let ended = code.map_or("by a signal".into(), |code| format!("with exit code {code}"));
    let failure = Failure::new(&codes::OWNER_EXITED, format!("the owner of `{name}` ended {ended}"));
    let failure = match last.is_empty() {
        true => failure.why("it said nothing"),
        false => failure.why(last.into_iter().rev().collect::<Vec<_>>().join("\n        ")),
    };
    failure.help(format!("run `nixbox-helper --log-level debug serve {name}` to see more")).into()
}

/// Reads back what `nixbox_report::text` wrote, so that one failure has one code and one exit code though another
/// program met it.
fn relayed(said: &str) -> Vec<Failure> {
    let mut found: Vec<Failure> = Vec::new();
    for line in said.lines() {
        let field = |name: &str| line.trim_start().strip_prefix(name).map(|rest| rest.trim_start().to_owned());
        if let Some((what, id)) =
            line.strip_prefix("error: ").and_then(|rest| rest.strip_suffix(']')?.rsplit_once(" ["))
        {
            if let Some(code) = nixbox_report::ALL.iter().find(|code| code.id == id) {
                found.push(Failure::new(code, what));
            }
        } else if let Some(last) = found.last_mut() {
            if let Some(why) = field("why:") {
                last.why = Some(why);
            } else if let Some(help) = field("help:") {
                last.help = Some(help);
            }
        }
    }
    found
}

/// The same out of `nixbox_report::json`, which is what an owner writes where NIXBOX_LOG_FORMAT says so.
fn relayed_json(said: &str) -> Vec<Failure> {
    let reports = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let errors =
        reports.filter_map(|mut report| Some(report.get_mut("errors")?.as_array_mut()?.split_off(0))).flatten();
    let failure = |error: serde_json::Value| {
        let text = |field: &str| error[field].as_str().map(str::to_owned);
        let code = nixbox_report::ALL.iter().find(|code| error["code"] == code.id)?;
        Some(Failure { why: text("why"), help: text("help"), ..Failure::new(code, text("what")?) })
    };
    errors.filter_map(failure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_way_through_another_program() {
        let failure = Failure::new(&codes::OWNER_HELD, "held [by 7]").why("it is").help("stop it");
        let said = format!("log line\n{}", nixbox_report::text(&failure.clone().into(), false));
        assert_eq!(owner_failed("a", Some(4), &said), failure.clone().into());
        let said = format!("{{\"level\":\"INFO\"}}\n{}\n", nixbox_report::json(&failure.clone().into()));
        assert_eq!(owner_failed("a", Some(4), &said), failure.into());
    }

    #[test]
    fn what_is_not_understood_is_shown() {
        let report = owner_failed("a", None, "thread panicked\nat line 3");
        assert_eq!(report.failures[0].code, &codes::OWNER_EXITED);
        assert!(
            report.failures[0].why.as_deref().is_some_and(|why| why.contains("panicked") && why.contains("line 3"))
        );
    }
}
