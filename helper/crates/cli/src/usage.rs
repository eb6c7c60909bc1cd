//! What units take of processors and memory, with all that they have started.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};
use nixbox_config::Project;
use nixbox_state::Process;
use nixbox_supervisor::{Group, Limits, tree_of};

use crate::confine;
use crate::presence::connect;
use crate::supervise::UnitStatus;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Taken {
    /// Of one processor, in percent, since the last look.
    pub cpu: f64,
    /// Bytes in memory.
    pub memory: u64,
    pub processes: usize,
    /// With threads, of a job's command.
    pub pids: Option<u64>,
    /// What it may take, as the kernel has it.
    pub limits: Limits,
    /// Of an instance, as far as its owner was asked.
    pub files: Option<Files>,
}

/// What is asked of an instance's files.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Files {
    pub so_far: nixbox_control::Usage,
    /// In a second, since the last look.
    pub operations: f64,
    pub read: f64,
    pub written: f64,
}

/// How long an owner may take to say what it has counted.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Usage {
    taken: HashMap<String, Taken>,
    /// Clock ticks of each process when it was looked at last.
    ticks: HashMap<(i32, u64), u64>,
    /// What each owner had counted, and when that was.
    counted: HashMap<String, (nixbox_control::Usage, Instant)>,
    /// Microseconds that each control group had spent.
    spent: HashMap<String, u64>,
    at: Option<Instant>,
}

impl Usage {
    pub fn of(&self, name: &str) -> Option<Taken> {
        self.taken.get(name).copied()
    }

    /// The same, and what is asked of the files of instances.
    pub fn look_into(&mut self, units: &[UnitStatus], project: &Project) {
        self.look(units, project);
        let now = Instant::now();
        let before = std::mem::take(&mut self.counted);
        for (name, so_far) in asked(units, project) {
            let rate = |now_: u64, of: fn(&nixbox_control::Usage) -> u64| {
                let Some((then, at)) = before.get(&name) else { return 0.0 };
                now_.saturating_sub(of(then)) as f64 / now.duration_since(*at).as_secs_f64().max(0.001)
            };
            let files = Files {
                operations: rate(so_far.operations, |then| then.operations),
                read: rate(so_far.read_bytes, |then| then.read_bytes),
                written: rate(so_far.written_bytes, |then| then.written_bytes),
                so_far,
            };
            if let Some(taken) = self.taken.get_mut(&name) {
                taken.files = Some(files);
            }
            self.counted.insert(name, (so_far, now));
        }
    }

    pub fn look(&mut self, units: &[UnitStatus], project: &Project) {
        let elapsed = self.at.map(|at| at.elapsed().as_secs_f64()).filter(|elapsed| *elapsed > 0.0);
        let number = |name| sysconf(name).ok().flatten().and_then(|number| u64::try_from(number).ok());
        let per_second = number(SysconfVar::CLK_TCK).unwrap_or(100) as f64;
        let page = number(SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let (mut ticks, mut taken, mut all_spent) = (HashMap::new(), HashMap::new(), HashMap::new());
        for unit in units {
            let Some(pid) = unit.pid else { continue };
            let (mut spent, mut sum) = (0, Taken::default());
            let tree = tree_of(pid);
            for &process in &tree {
                let Some((used, pages)) = stat(process) else { continue };
                let key = (process.pid, process.start_time);
                spent += used.saturating_sub(self.ticks.get(&key).copied().unwrap_or(used));
                ticks.insert(key, used);
                sum.memory += pages * page;
                sum.processes += 1;
            }
            sum.cpu = elapsed.map_or(0.0, |elapsed| 100.0 * spent as f64 / per_second / elapsed);
            // The kernel's own count has also what ended between two looks, and what several share only once.
            if let Some(group) = group_of(&tree, project, &unit.name) {
                let load = group.load();
                sum.memory = load.memory.unwrap_or(sum.memory);
                (sum.pids, sum.limits) = (load.pids, group.limits());
                if let Some(micros) = load.cpu.and_then(|cpu| u64::try_from(cpu.as_micros()).ok()) {
                    let before = self.spent.get(&unit.name).copied().unwrap_or(micros);
                    let since = micros.saturating_sub(before) as f64 / 1e6;
                    sum.cpu = elapsed.map_or(0.0, |elapsed| 100.0 * since / elapsed);
                    all_spent.insert(unit.name.clone(), micros);
                }
            }
            taken.insert(unit.name.clone(), sum);
        }
        (self.ticks, self.spent, self.taken, self.at) = (ticks, all_spent, taken, Some(Instant::now()));
    }
}

/// Each asked at once, and none waited for long: it may stand still.
fn asked(units: &[UnitStatus], project: &Project) -> Vec<(String, nixbox_control::Usage)> {
    let instances = units.iter().filter(|unit| unit.pid.is_some() && !unit.paused);
    let instances: Vec<_> = instances.filter_map(|unit| project.instances.get(&unit.name)).collect();
    std::thread::scope(|scope| {
        let ask = |instance| move || connect(instance).and_then(|client| client.usage(Some(PATIENCE)));
        let threads: Vec<_> = instances.iter().map(|one| (one.name.clone(), scope.spawn(ask(*one)))).collect();
        threads.into_iter().filter_map(|(name, thread)| Some((name, thread.join().ok()?.ok()?))).collect()
    })
}

/// The one that a job's command is in; whoever started that is not.
fn group_of(tree: &[Process], project: &Project, unit: &str) -> Option<Group> {
    project.jobs.get(unit)?;
    let name = confine::group_of(project, unit);
    tree.iter().skip(1).find_map(|process| Group::of(*process, &name))
}

/// Its clock ticks and its pages in memory.
fn stat(process: Process) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((number(11)? + number(12)?, number(21)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_process_takes_memory_and_time() {
        let me = Process::current().unwrap();
        let (before, pages) = stat(me).unwrap();
        assert!(pages > 10);
        // So much that others who want the processor as well do not matter.
        let until = Instant::now() + Duration::from_secs(90);
        while stat(me).unwrap().0 == before {
            assert!(Instant::now() < until);
        }
    }
}
