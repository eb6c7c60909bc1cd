//! What bounds and counts one kind of thing in a group, in the words of either version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits::Limit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Controller {
    limit: Limit,
    version: Version,
    folder: PathBuf,
}

/// In microseconds: so long processors are shared out anew.
const PERIOD: u64 = 100_000;

impl Controller {
    pub(super) fn new(limit: Limit, version: Version, folder: PathBuf) -> Self {
        Self { limit, version, folder }
    }

    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// None: no limit.
    pub(super) fn set(&self, value: Option<u64>) -> io::Result<()> {
        let most = |none: &str| value.map_or_else(|| none.to_owned(), |value| value.to_string());
        // A thousandth of a processor is so much of each period.
        let quota = |none: &str| value.map_or_else(|| none.to_owned(), |part| (part * PERIOD / 1000).to_string());
        match (self.limit, self.version) {
            (Limit::Cpu, Version::Two) => self.write("cpu.max", &format!("{} {PERIOD}", quota("max"))),
            (Limit::Cpu, Version::One) => {
                self.write("cpu.cfs_period_us", &PERIOD.to_string())?;
                self.write("cpu.cfs_quota_us", &quota("-1"))
            }
            (Limit::Memory, Version::Two) => {
                self.write("memory.max", &most("max"))?;
                // What is swapped out takes as much of the machine. A kernel without swap has no such file.
                self.write_if_there("memory.swap.max", if value.is_some() { "0" } else { "max" })
            }
            (Limit::Memory, Version::One) => {
                // Never may the sum be less than its part.
                self.write_if_there("memory.memsw.limit_in_bytes", "-1")?;
                self.write("memory.limit_in_bytes", &most("-1"))?;
                self.write_if_there("memory.memsw.limit_in_bytes", &most("-1"))
            }
            (Limit::Pids, _) => self.write("pids.max", &most("max")),
        }
    }

    pub(super) fn get(&self) -> Option<u64> {
        let read = |name| fs::read_to_string(self.folder.join(name)).ok();
        let part = |quota: u64, period: u64| (quota * 1000).checked_div(period);
        match (self.limit, self.version) {
            (Limit::Cpu, Version::Two) => {
                let text = read("cpu.max")?;
                let (quota, period) = text.trim().split_once(' ')?;
                part(quota.parse().ok()?, period.parse().ok()?)
            }
            (Limit::Cpu, Version::One) => part(self.number("cpu.cfs_quota_us")?, self.number("cpu.cfs_period_us")?),
            (Limit::Memory, Version::Two) => self.number("memory.max"),
            // Without a limit it is a number that no machine has.
            (Limit::Memory, Version::One) => self.number("memory.limit_in_bytes").filter(|&most| most < 1 << 62),
            (Limit::Pids, _) => self.number("pids.max"),
        }
    }

    pub(super) fn taken(&self) -> Option<u64> {
        let (now, idle) = match (self.limit, self.version) {
            (Limit::Cpu, _) => return None,
            (Limit::Pids, _) => return self.number("pids.current"),
            (Limit::Memory, Version::Two) => ("memory.current", "inactive_file"),
            (Limit::Memory, Version::One) => ("memory.usage_in_bytes", "total_inactive_file"),
        };
        let idle = number_in(&self.folder.join("memory.stat"), idle).unwrap_or_default();
        Some(self.number(now)?.saturating_sub(idle))
    }

    pub(super) fn kills(&self) -> u64 {
        let file = match (self.limit, self.version) {
            (Limit::Memory, Version::Two) => "memory.events",
            (Limit::Memory, Version::One) => "memory.oom_control",
            _ => return 0,
        };
        number_in(&self.folder.join(file), "oom_kill").unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(name), text)
            .map_err(|error| io::Error::new(error.kind(), format!("{name} = {text}: {error}")))
    }

    fn write_if_there(&self, name: &str, text: &str) -> io::Result<()> {
        if self.folder.join(name).exists() { self.write(name, text) } else { Ok(()) }
    }
}

/// Of a file with a word and a number a line.
pub(super) fn number_in(path: &Path, word: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What the kernel would have there, as files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
        dir
    }

    #[test]
    fn limits_are_written_and_read_in_the_words_of_version_two() {
        let dir = folder(&[
            ("cpu.max", "max 100000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.max", "max\n"),
            ("memory.current", "5000\n"),
            ("memory.stat", "anon 1\ninactive_file 1000\n"),
            ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
            ("pids.max", "max\n"),
            ("pids.current", "7\n"),
        ]);
        let of = |limit| Controller::new(limit, Version::Two, dir.path().to_owned());
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        for limit in [Limit::Cpu, Limit::Memory, Limit::Pids] {
            assert_eq!(of(limit).get(), None);
            of(limit).set(Some(1500)).unwrap();
            assert_eq!(of(limit).get(), Some(1500));
        }
        assert_eq!([text("cpu.max"), text("memory.max"), text("pids.max")], ["150000 100000", "1500", "1500"]);
        assert_eq!(text("memory.swap.max"), "0");
        assert_eq!((of(Limit::Memory).taken(), of(Limit::Pids).taken()), (Some(4000), Some(7)));
        assert_eq!(of(Limit::Memory).kills(), 2);
        of(Limit::Memory).set(None).unwrap();
        of(Limit::Cpu).set(None).unwrap();
        assert_eq!([text("memory.max"), text("memory.swap.max"), text("cpu.max")], ["max", "max", "max 100000"]);
    }
}
