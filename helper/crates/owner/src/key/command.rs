//! A key that a program prints, such as a password manager.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use nixbox_report::{Failure, Report, codes};
use zeroize::Zeroizing;

use super::text;

const DEADLINE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn output(words: &[String], root: &Path) -> Result<Zeroizing<String>, Report> {
    output_within(words, root, DEADLINE)
}

fn output_within(words: &[String], root: &Path, deadline: Duration) -> Result<Zeroizing<String>, Report> {
    let shown = words.join(" ");
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(&codes::KEY_COMMAND, format!("the command `{shown}` gave no key"))
            .why(why)
            .help("run it by hand: it must print the key and nothing else, and end with 0")
    };
    let silent = || {
        Failure::new(&codes::KEY_SILENT, format!("the command `{shown}` did not end within {deadline:?}"))
            .why("it was killed")
            .help("run it by hand: it must not wait for anybody")
    };
    let until = Instant::now() + deadline;
    let left = || until.saturating_duration_since(Instant::now());
    let [program, arguments @ ..] = words else { return Err(failed(&"it is empty").into()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts is killed with it.
    command.process_group(0);
    // SAFETY: between fork and exec this makes one system call and allocates nothing.
    unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
    let mut running = Running(command.spawn().map_err(|error| failed(&error))?);
    let (said, complaint) = (drain(running.0.stdout.take()), drain(running.0.stderr.take()));
    let said = said.recv_timeout(left()).map_err(|_| silent())?;
    let complaint = complaint.recv_timeout(left()).map_err(|_| silent())?;
    let status = loop {
        match running.0.try_wait().map_err(|error| failed(&error))? {
            Some(status) => break status,
            None if left().is_zero() => return Err(silent().into()),
            None => std::thread::sleep(LOOK.min(left())),
        }
    };
    if !status.success() {
        return Err(failed(&format!("{status}{}", last_line(&complaint))).into());
    }
    if said.trim().is_empty() {
        return Err(failed(&"it printed nothing").into());
    }
    Ok(said)
}

/// Read aside, since a pipe that nobody empties holds its writer up.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Zeroizing<String>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let read = pipe.map_or_else(Default::default, |pipe| text(pipe).unwrap_or_default());
        let _ = sender.send(read);
    });
    receiver
}

/// Why it failed, in its own words, unless those hold what may be a key.
fn last_line(complaint: &str) -> String {
    let line = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let digits = |word: &str| word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    match line.split(|c: char| !c.is_ascii_alphanumeric()).any(digits) {
        true => String::new(),
        false if line.is_empty() => String::new(),
        false => format!(": {}", line.chars().filter(|c| !c.is_control()).take(200).collect::<String>()),
    }
}

struct Running(Child);

/// Also after it ended: what it started may live on.
impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(script: &str, deadline: u64) -> Result<String, Report> {
        let words = ["sh", "-c", script].map(str::to_owned);
        output_within(&words, Path::new("/"), Duration::from_millis(deadline)).map(|said| said.to_string())
    }

    fn refused(script: &str, deadline: u64) -> (&'static str, String) {
        let failure = run(script, deadline).unwrap_err().failures.remove(0);
        (failure.code.id, failure.why.unwrap())
    }

    #[test]
    fn what_it_prints_is_the_key() {
        assert_eq!(run("pwd; echo noise >&2", 10_000).unwrap(), "/\n");
    }

    #[test]
    fn one_that_fails_says_why_and_shows_no_digits_of_a_key() {
        let (code, why) = refused("echo first >&2; echo no such entry >&2; exit 3", 10_000);
        assert_eq!((code, why.ends_with("3: no such entry")), ("nixbox::key::command", true), "{why}");
        let (_, why) = refused("echo key=0123456789abcdef0123456789abcdef >&2; exit 1", 10_000);
        assert!(!why.contains("0123"), "{why}");
        assert_eq!(refused("true", 10_000).1, "it printed nothing");
    }

    #[test]
    fn one_that_hangs_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let began = Instant::now();
        assert_eq!(refused(&script, 400).0, "nixbox::key::silent");
        assert!(began.elapsed() < Duration::from_secs(5));
        let child = std::fs::read_to_string(file).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let until = Instant::now() + Duration::from_secs(5);
        while !gone() {
            assert!(Instant::now() < until, "{child} lives on");
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn one_that_is_not_there_is_no_key() {
        let words = ["/nonexistent/program".to_owned()];
        let report = output_within(&words, Path::new("/"), DEADLINE).unwrap_err();
        assert_eq!(report.failures[0].code, &codes::KEY_COMMAND);
    }
}
