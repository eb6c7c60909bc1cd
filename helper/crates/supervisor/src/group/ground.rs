//! Where groups can be made: at our own place in the kernel's tree, or near it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use nixbox_state::Process;

use super::controller::{Controller, Version};
use super::{Group, remove};
use crate::limits::Limit;

const LIMITS: [(Limit, &str); 3] = [(Limit::Cpu, "cpu"), (Limit::Memory, "memory"), (Limit::Pids, "pids")];

/// In which folders groups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    /// Of version 2.
    folder: PathBuf,
    /// Of version 1, for what that still has.
    others: Vec<(Limit, PathBuf)>,
}

impl Ground {
    /// Where this process may. `None` where it may nowhere, or the machine has no groups.
    pub(crate) fn mine() -> Option<Self> {
        let own = Self::of(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
        let near = own.folder.ancestors().take_while(|folder| may_make_groups(folder)).take(reach(&own.folder));
        let near: Vec<&Path> = near.collect();
        // What there is to have: nearer ones may not have been handed it yet.
        let wanted = listed(near.last()?, "cgroup.controllers");
        let mut best: Option<(usize, &Path)> = None;
        for folder in near.into_iter().filter(|folder| has_whole_groups(folder)) {
            let enabled = enable(folder, &wanted);
            if best.is_none_or(|(most, _)| enabled > most) {
                best = Some((enabled, folder));
            }
            if enabled == wanted.len() {
                break;
            }
        }
        let folder = best?.1.to_owned();
        let others = own.others.into_iter().filter(|(_, folder)| may_make_groups(folder)).collect();
        Some(Self { folder, others })
    }

    /// Where a process is, as `/proc/PID/cgroup` tells it.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::at(text, &fs::read_to_string("/proc/self/mountinfo").ok()?)
    }

    fn at(places: &str, mounts: &str) -> Option<Self> {
        let find = |is_there: &dyn Fn(&str, &str) -> bool, place: &str| {
            mounts.lines().find_map(|line| {
                let (before, after) = line.split_once(" - ")?;
                let before: Vec<_> = before.split(' ').collect();
                let mut after = after.split(' ');
                let (kind, options) = (after.next()?, after.nth(1)?);
                let below = Path::new(place).strip_prefix(before.get(3)?).ok()?;
                is_there(kind, options).then(|| Path::new(before[4]).join(below))
            })
        };
        let (mut folder, mut others) = (None, Vec::new());
        for line in places.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(number), Some(names), Some(place)) = (parts.next(), parts.next(), parts.next()) else { continue };
            if number == "0" {
                folder = find(&|kind, _| kind == "cgroup2", place);
            }
            for (limit, name) in LIMITS.into_iter().filter(|(_, name)| names.split(',').any(|one| one == *name)) {
                let has = |kind: &str, options: &str| kind == "cgroup" && options.split(',').any(|one| one == name);
                others.extend(find(&has, place).map(|folder| (limit, folder)));
            }
        }
        Some(Self { folder: folder?, others })
    }

    /// Of a process that is in a group of this name: where that was made.
    pub(super) fn parent_of(mut self, name: &str) -> Option<Self> {
        let is_it = |folder: &Path| folder.file_name().is_some_and(|last| last == name);
        let up = |folder: &mut PathBuf| is_it(folder) && folder.pop();
        self.others.retain_mut(|(_, folder)| up(folder));
        up(&mut self.folder).then_some(self)
    }

    /// The group of that name. One of a process that was killed may have stayed; it is taken over when it is empty.
    pub(crate) fn make(&self, name: &str) -> io::Result<Group> {
        self.sweep(name);
        match fs::create_dir(self.folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for (_, folder) in &self.others {
            match fs::create_dir(folder.join(name)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    let _ = remove(&self.folder.join(name));
                    return Err(error);
                }
                _ => {}
            }
        }
        let group = self.find(name).ok_or(ErrorKind::NotFound)?;
        match group.is_populated() {
            true => Err(ErrorKind::AlreadyExists.into()),
            false => Ok(group),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Group> {
        let others = self.others.iter().map(|(limit, folder)| (*limit, folder.join(name)));
        Self { folder: self.folder.join(name), others: others.collect() }.itself()
    }

    /// The group that this process is in.
    pub(crate) fn around() -> Option<Group> {
        Self::of(&fs::read_to_string("/proc/self/cgroup").ok()?)?.itself()
    }

    fn itself(self) -> Option<Group> {
        let Self { folder, others } = self;
        let there = fs::read_to_string(folder.join("cgroup.controllers")).ok()?;
        let has = |word: &str| there.split_ascii_whitespace().any(|one| one == word);
        let two = LIMITS.into_iter().filter(|(_, word)| has(word));
        let two = two.map(|(limit, _)| Controller::new(limit, Version::Two, folder.clone()));
        let one = others.into_iter().filter(|(_, folder)| folder.is_dir());
        let one = one.map(|(limit, folder)| Controller::new(limit, Version::One, folder));
        Some(Group { controllers: two.chain(one).collect(), folder })
    }

    /// Of commands that were killed, and left their group behind: `WHAT.exec.PID`. One that is not empty stays.
    fn sweep(&self, name: &str) {
        let family = name.split('.').next().unwrap_or(name);
        let is_left = |name: &str| {
            let number = name.strip_prefix(family).and_then(|rest| rest.strip_prefix(".exec."));
            number.and_then(|number| number.parse().ok()).is_some_and(|pid| matches!(Process::of(pid), Ok(None)))
        };
        for folder in [&self.folder].into_iter().chain(self.others.iter().map(|(_, folder)| folder)) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_some_and(is_left) {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }
}

/// Out of a service of systemd nothing is taken: it would outlive that, and belong to nobody.
fn reach(own: &Path) -> usize {
    let is_service = |folder: &Path| folder.extension().is_some_and(|end| end == "service");
    own.ancestors().position(is_service).map_or(usize::MAX, |above| above + 1)
}

fn may_make_groups(folder: &Path) -> bool {
    let may = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    may(folder) && may(&folder.join("cgroup.procs"))
}

/// Processes can be moved into groups in it. Where a group with processes was told to hand down what threads can have
/// (`cpu`, `pids`), the groups in it are of threads.
fn has_whole_groups(folder: &Path) -> bool {
    // That at the top has none.
    fs::read_to_string(folder.join("cgroup.type")).map_or(true, |kind| kind.trim() == "domain")
}

/// Has groups in it have these controllers, and answers how many of them they have. A group in which processes are hands
/// down none, but that at the top.
fn enable(folder: &Path, wanted: &[&str]) -> usize {
    let is_empty = || fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty());
    if !folder.join("cgroup.type").exists() || is_empty() {
        for word in missing(folder, wanted) {
            let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{word}"));
        }
    }
    wanted.len() - missing(folder, wanted).len()
}

fn missing<'w>(folder: &Path, wanted: &[&'w str]) -> Vec<&'w str> {
    let enabled = listed(folder, "cgroup.subtree_control");
    wanted.iter().copied().filter(|word| !enabled.contains(word)).collect()
}

/// Those that a file names.
fn listed(folder: &Path, file: &str) -> Vec<&'static str> {
    let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
    let has = |word: &str| text.split_ascii_whitespace().any(|one| one == word);
    LIMITS.iter().map(|(_, word)| *word).filter(|word| has(word)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_found_however_the_machine_has_its_groups_mounted() {
        let unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let found = Ground::at("0::/user.slice/a.scope\n", unified).unwrap();
        assert_eq!(found, Ground { folder: "/sys/fs/cgroup/user.slice/a.scope".into(), others: Vec::new() });

        let hybrid = "30 24 0:26 / /cg/unified rw - cgroup2 cgroup2 rw\n31 24 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n\
                      32 24 0:28 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct";
        let found = Ground::at("8:pids:/\n4:memory:/x/y\n2:cpu,cpuacct:/\n0::/z\n", hybrid).unwrap();
        let others = vec![(Limit::Memory, "/cg/memory/x/y".into()), (Limit::Cpu, "/cg/cpu,cpuacct/".into())];
        assert_eq!(found, Ground { folder: "/cg/unified/z".into(), others });

        // A container that sees only its own part.
        let part = "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw";
        assert_eq!(Ground::at("0::/docker/abc\n", part).unwrap().folder, Path::new("/sys/fs/cgroup"));
        assert_eq!(Ground::at("0::/elsewhere\n", part), None);
        assert_eq!(Ground::at("4:memory:/\n", hybrid), None);
    }

    /// As the kernel has it, in so far as it is looked at here.
    fn group(processes: &str, kind: Option<&str>, handed_down: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        file("cgroup.procs", processes);
        file("cgroup.controllers", "cpuset cpu io memory pids\n");
        file("cgroup.subtree_control", handed_down);
        kind.into_iter().for_each(|kind| file("cgroup.type", kind));
        dir
    }

    #[test]
    fn a_group_with_processes_is_told_to_hand_down_nothing() {
        let wanted = ["cpu", "memory", "pids"];
        let told = |dir: &tempfile::TempDir| fs::read_to_string(dir.path().join("cgroup.subtree_control")).unwrap();
        let busy = group("17\n", Some("domain\n"), "");
        assert_eq!((enable(busy.path(), &wanted), told(&busy)), (0, String::new()));
        let handing = group("17\n", Some("domain\n"), "memory pids\n");
        assert_eq!(enable(handing.path(), &wanted), 2);
        // That at the top may.
        for dir in [group("17\n", None, ""), group("", Some("domain\n"), "")] {
            enable(dir.path(), &wanted);
            assert_eq!(told(&dir), "+pids");
        }
        assert_eq!(listed(busy.path(), "cgroup.controllers"), wanted);
        let kinds = [None, Some("domain\n"), Some("domain threaded\n"), Some("threaded\n")];
        assert_eq!(kinds.map(|kind| has_whole_groups(group("", kind, "").path())), [true, true, false, false]);
    }

    #[test]
    fn nothing_is_taken_out_of_a_service() {
        let reach = |path| reach(Path::new(path));
        assert_eq!(reach("/sys/fs/cgroup/system.slice/a.service"), 1);
        assert_eq!(reach("/sys/fs/cgroup/system.slice/a.service/main"), 2);
        assert_eq!(reach("/sys/fs/cgroup/user.slice/user-1.slice/user@1.service/app.slice/x.scope"), 3);
        assert_eq!(reach("/sys/fs/cgroup/user.slice/session-1.scope"), usize::MAX);
    }
}
