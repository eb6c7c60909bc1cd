//! Everything that a process has started, and what that has started, as far as it is still below it.

use std::collections::HashMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use nixbox_state::Process;

use crate::pidfd::Handle;

/// So long it is looked for new ones: some may start others meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(3);

#[derive(Debug, Clone, Copy)]
struct Found {
    process: Process,
    parent: i32,
    is_dead: bool,
}

/// Ends all below `parent`, but not that itself.
pub(crate) fn kill_below(parent: i32) {
    kill_but(parent, None);
}

fn kill_but(parent: i32, spared: Option<Process>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let alive: Vec<_> = below(parent, spared).into_iter().filter(|found| !found.is_dead).collect();
        if alive.is_empty() || Instant::now() > until {
            return;
        }
        alive.iter().for_each(|found| signal(found, Signal::SIGKILL));
        sleep(PAUSE);
    }
}

/// Ends all below this process, which is to have no children that somebody still waits for but `spared`: they are asked
/// to, have `grace` for it, and are buried.
pub(crate) fn clear(grace: Duration, spared: Option<Process>) {
    let (me, until) = (std::process::id() as i32, Instant::now() + grace);
    let mut asked = Vec::new();
    loop {
        bury_all(me, spared);
        let left = below(me, spared);
        if left.is_empty() {
            return;
        }
        if Instant::now() >= until {
            break;
        }
        for found in left {
            if !asked.contains(&found.process) {
                asked.push(found.process);
                signal(&found, Signal::SIGTERM);
            }
        }
        sleep(PAUSE);
    }
    kill_but(me, spared);
    bury_all(me, spared);
}

fn bury_all(me: i32, spared: Option<Process>) {
    if spared.is_some() {
        // Each by its name: the spared one may be dead as well, and is somebody else's to bury.
        for dead in below(me, spared).into_iter().filter(|found| found.is_dead && found.parent == me) {
            let _ = waitpid(Pid::from_raw(dead.process.pid), Some(WaitPidFlag::WNOHANG));
        }
        return;
    }
    while matches!(waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
    {
    }
}

/// Children of this process that nobody here has started: they lost their parent, which was one of ours. Ends them,
/// and what is below them. True where there were any.
pub(crate) fn end_strays(ours: &[i32]) -> bool {
    let me = std::process::id() as i32;
    let is_stray = |found: &Found| found.parent == me && !ours.contains(&found.process.pid);
    let until = Instant::now() + PATIENCE;
    let mut any = false;
    loop {
        let strays: Vec<_> = all().into_iter().filter(is_stray).collect();
        if strays.is_empty() || Instant::now() > until {
            return any;
        }
        any = true;
        for stray in strays {
            kill_below(stray.process.pid);
            signal(&stray, Signal::SIGKILL);
            let _ = waitpid(Pid::from_raw(stray.process.pid), Some(WaitPidFlag::WNOHANG));
        }
        sleep(PAUSE);
    }
}

/// Ends a process that is nobody's any more, and all below it.
pub fn end_tree(process: Process) {
    let Ok(Some(handle)) = Handle::of(process) else { return };
    let _ = handle.signal(Signal::SIGSTOP);
    kill_below(process.pid);
    let _ = handle.signal(Signal::SIGKILL);
    let _ = handle.wait(Some(Instant::now() + PATIENCE));
}

/// Tells a process and all below it to stand still, or to go on. Looked for until there is no new one: a process that
/// still runs may have started others meanwhile.
pub(crate) fn signal_tree(top: i32, what: Signal) {
    let until = Instant::now() + PATIENCE;
    let mut told = Vec::new();
    loop {
        let new: Vec<_> = tree_of(top).into_iter().filter(|process| !told.contains(process)).collect();
        if new.is_empty() || Instant::now() > until {
            return;
        }
        for process in new {
            told.push(process);
            if let Ok(Some(handle)) = Handle::of(process) {
                let _ = handle.signal(what);
            }
        }
    }
}

/// `process` and all below it, alive or not yet buried.
pub fn tree_of(process: i32) -> Vec<Process> {
    let itself = Process::of(process).ok().flatten();
    itself.into_iter().chain(below(process, None).into_iter().map(|found| found.process)).collect()
}

/// A pid may have gone to another one since it was looked up.
fn signal(found: &Found, signal: Signal) {
    if let Ok(Some(handle)) = Handle::of(found.process) {
        let _ = handle.signal(signal);
    }
}

/// But `spared` and what is below that.
fn below(top: i32, spared: Option<Process>) -> Vec<Found> {
    let mut children: HashMap<i32, Vec<Found>> = HashMap::new();
    for found in all() {
        children.entry(found.parent).or_default().push(found);
    }
    let (mut found, mut next) = (Vec::new(), vec![top]);
    while let Some(parent) = next.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if spared == Some(child.process) {
                continue;
            }
            found.push(child);
            next.push(child.process.pid);
        }
    }
    found
}

fn all() -> Vec<Found> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The second field, the program's name, may hold anything, and ends with the last parenthesis.
fn look(pid: i32) -> Option<Found> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    Some(Found { process: Process { pid, start_time: fields.nth(17)?.parse().ok()? }, parent, is_dead })
}
