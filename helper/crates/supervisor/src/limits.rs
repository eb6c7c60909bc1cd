//! What a command may take of the machine, with all that it starts, and what of that holds here.

use std::fs;
use std::io::{self, ErrorKind};

use nix::libc;
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use crate::group::{Ground, Group};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    Cpu,
    Memory,
    Pids,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Thousandths of a processor.
    pub cpu: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Limits {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// One by one, what `other` says where this says nothing.
    pub fn or(self, other: Self) -> Self {
        Self { cpu: self.cpu.or(other.cpu), memory: self.memory.or(other.memory), pids: self.pids.or(other.pids) }
    }

    pub fn each(&self) -> [(Limit, Option<u64>); 3] {
        [(Limit::Cpu, self.cpu), (Limit::Memory, self.memory), (Limit::Pids, self.pids)]
    }

    pub(crate) fn put(&mut self, limit: Limit, value: Option<u64>) {
        match limit {
            Limit::Cpu => self.cpu = value,
            Limit::Memory => self.memory = value,
            Limit::Pids => self.pids = value,
        }
    }
}

/// A limit that does not hold as it should, and why.
#[derive(Debug)]
pub struct Unheld {
    pub limit: Limit,
    /// What holds in its place.
    pub instead: Option<&'static str>,
    pub why: String,
}

/// Everything that is done to a command so that its limits hold.
#[derive(Debug, Clone, Default)]
pub struct Confinement {
    pub(crate) group: Option<Group>,
    /// Bytes of each process's own data.
    pub(crate) data: Option<u64>,
    /// Processes and threads of its user.
    pub(crate) processes: Option<u64>,
}

impl Confinement {
    /// In a group of that name, which it has for itself, else by what each process can be held to alone. Without a limit
    /// a group is still good for holding all of it still, and for ending it.
    pub fn prepare(name: &str, limits: &Limits, user: Uid) -> (Self, Vec<Unheld>) {
        let made = Ground::mine().ok_or_else(|| io::Error::other("this process may make no control group here"));
        let made = made.and_then(|ground| match ground.make(name) {
            // Somebody runs the same thing beside this one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                ground.make(&format!("{name}.{}", std::process::id()))
            }
            made => made,
        });
        let limited = made.and_then(|group| match group.limit(limits) {
            Ok(without) => Ok((group, without)),
            Err(error) => {
                let _ = group.remove();
                Err(error)
            }
        });
        let (group, without, why) = match limited {
            Ok((group, without)) => (Some(group), without, "its control group has no controller for that".to_owned()),
            Err(error) => {
                let all = limits.each().into_iter().filter_map(|(limit, value)| value.map(|_| limit)).collect();
                (None, all, error.to_string())
            }
        };
        let mut confinement = Self { group, ..Self::default() };
        let unheld = without.into_iter().filter(|limit| !is_held_outside(*limit, limits));
        let unheld: Vec<_> = unheld.collect();
        let unheld = unheld.into_iter().map(|limit| confinement.fall_back(limit, limits, user, why.clone())).collect();
        (confinement, unheld)
    }

    fn fall_back(&mut self, limit: Limit, limits: &Limits, user: Uid, why: String) -> Unheld {
        let instead = match limit {
            Limit::Cpu => None,
            Limit::Memory => {
                self.data = limits.memory;
                Some("each process is held to so much data of its own")
            }
            // Root is not held to it.
            Limit::Pids if user.is_root() => None,
            Limit::Pids => {
                self.processes = limits.pids.map(|most| most + tasks_of(user));
                Some("its user is held to so many more than now")
            }
        };
        Unheld { limit, instead, why }
    }

    pub(crate) fn killed_for_memory(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.killed_for_memory() > 0)
    }

    /// Ends all that is still in its group.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.group.as_ref().map_or(Ok(()), Group::remove)
    }

    /// In the child, between fork and exec.
    pub(crate) fn bound(&self) -> io::Result<()> {
        for (resource, most) in [(libc::RLIMIT_DATA, self.data), (libc::RLIMIT_NPROC, self.processes)] {
            let Some(most) = most else { continue };
            let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the kernel reads and writes the one that it is given, and keeps none.
            let done = unsafe {
                libc::getrlimit(resource, &mut found) == 0 && {
                    let most = most.min(found.rlim_max);
                    libc::setrlimit(resource, &libc::rlimit { rlim_cur: most, rlim_max: most }) == 0
                }
            };
            if !done {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// Whoever has started us, systemd or a container, may hold us to it already.
fn is_held_outside(limit: Limit, limits: &Limits) -> bool {
    let find = |limits: &Limits| limits.each().into_iter().find(|(one, _)| *one == limit).and_then(|(_, value)| value);
    match (Ground::around().map(|group| group.limits()).as_ref().and_then(find), find(limits)) {
        (Some(there), Some(wanted)) => there <= wanted,
        _ => false,
    }
}

fn tasks_of(user: Uid) -> u64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let status = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("status")).ok();
    let numbers = |text: &str, word: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(word))?.split_ascii_whitespace().next()?.parse().ok()
    };
    let mine = |text: &String| numbers(text, "Uid:") == Some(user.as_raw().into());
    entries.filter_map(status).filter(mine).filter_map(|text| numbers(&text, "Threads:")).sum()
}
