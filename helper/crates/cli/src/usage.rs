//! What units take of processors and memory, with all that they have started.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use nix::unistd::{SysconfVar, sysconf};
use nixbox_state::Process;
use nixbox_supervisor::tree_of;

use crate::supervise::UnitStatus;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Taken {
    /// Of one processor, in percent, since the last look.
    pub cpu: f64,
    /// Bytes in memory.
    pub memory: u64,
    pub processes: usize,
}

#[derive(Debug, Default)]
pub struct Usage {
    taken: HashMap<String, Taken>,
    /// Clock ticks of each process when it was looked at last.
    ticks: HashMap<(i32, u64), u64>,
    at: Option<Instant>,
}

impl Usage {
    pub fn of(&self, name: &str) -> Option<Taken> {
        self.taken.get(name).copied()
    }

    pub fn look(&mut self, units: &[UnitStatus]) {
        let elapsed = self.at.map(|at| at.elapsed().as_secs_f64()).filter(|elapsed| *elapsed > 0.0);
        let number = |name| sysconf(name).ok().flatten().and_then(|number| u64::try_from(number).ok());
        let per_second = number(SysconfVar::CLK_TCK).unwrap_or(100) as f64;
        let page = number(SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let (mut ticks, mut taken) = (HashMap::new(), HashMap::new());
        for unit in units {
            let Some(pid) = unit.pid else { continue };
            let (mut spent, mut sum) = (0, Taken::default());
            for process in tree_of(pid) {
                let Some((used, pages)) = stat(process) else { continue };
                let key = (process.pid, process.start_time);
                spent += used.saturating_sub(self.ticks.get(&key).copied().unwrap_or(used));
                ticks.insert(key, used);
                sum.memory += pages * page;
                sum.processes += 1;
            }
            sum.cpu = elapsed.map_or(0.0, |elapsed| 100.0 * spent as f64 / per_second / elapsed);
            taken.insert(unit.name.clone(), sum);
        }
        (self.ticks, self.taken, self.at) = (ticks, taken, Some(Instant::now()));
    }
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
        let until = Instant::now() + std::time::Duration::from_millis(100);
        while Instant::now() < until {}
        assert!(stat(me).unwrap().0 > before);
    }
}
