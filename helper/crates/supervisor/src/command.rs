//! A program that is run for its answer, within a time, and never left behind.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use zeroize::Zeroizing;

const LOOK: Duration = Duration::from_millis(5);
/// What is kept of what it prints.
const LONGEST: u64 = 64 << 10;

/// How it ended and what it printed, of which the first 64 KiB are kept.
pub struct Ran {
    pub status: ExitStatus,
    pub said: Zeroizing<String>,
    pub complaint: Zeroizing<String>,
}

#[derive(Debug)]
pub enum NotRan {
    Failed(std::io::Error),
    /// It did not end in time, or was called off, and was killed with all that it had started.
    Silent,
}

impl From<std::io::Error> for NotRan {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Without a shell. `heard`: on its standard input.
pub fn run(
    words: &[String],
    folder: &Path,
    heard: Vec<u8>,
    deadline: Duration,
    is_called_off: &dyn Fn() -> bool,
) -> Result<Ran, NotRan> {
    let until = Instant::now() + deadline;
    let left = || match is_called_off() {
        true => Duration::ZERO,
        false => until.saturating_duration_since(Instant::now()),
    };
    let [program, arguments @ ..] = words else { return Err(std::io::Error::other("it is empty").into()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let stdin = if heard.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts is killed with it.
    command.process_group(0);
    // SAFETY: between fork and exec this makes one system call and allocates nothing.
    unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
    let mut running = Running(command.spawn()?);
    if let Some(mut stdin) = running.0.stdin.take() {
        // One that does not want to know closes it.
        std::thread::spawn(move || drop(stdin.write_all(&heard)));
    }
    let (said, complaint) = (drain(running.0.stdout.take()), drain(running.0.stderr.take()));
    let said = wait_for(&said, &left)?;
    let complaint = wait_for(&complaint, &left)?;
    let status = loop {
        match running.0.try_wait()? {
            Some(status) => break status,
            None if left().is_zero() => return Err(NotRan::Silent),
            None => std::thread::sleep(LOOK.min(left())),
        }
    };
    Ok(Ran { status, said, complaint })
}

fn wait_for(what: &Receiver<Zeroizing<String>>, left: &dyn Fn() -> Duration) -> Result<Zeroizing<String>, NotRan> {
    const LOOK_AGAIN: Duration = Duration::from_millis(50);
    loop {
        match (left(), what.recv_timeout(LOOK_AGAIN.min(left()))) {
            (_, Ok(text)) => return Ok(text),
            (Duration::ZERO, _) => return Err(NotRan::Silent),
            _ => {}
        }
    }
}

/// Read aside, since a pipe that nobody empties holds its writer up.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Zeroizing<String>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let read = pipe.map_or_else(Default::default, |mut pipe| {
            let text = text(&mut pipe);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
            text
        });
        let _ = sender.send(read);
    });
    receiver
}

fn text(pipe: &mut impl Read) -> Zeroizing<String> {
    // Never moved, so that nothing of it is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    let _ = pipe.take(LONGEST).read_to_end(&mut bytes);
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

/// Why it failed, in its own words, unless those hold what may be a key.
pub fn last_line(complaint: &str) -> String {
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
