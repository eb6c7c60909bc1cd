//! What commands in an instance may take of the machine, and whether that holds here.

use std::ffi::OsString;

use nixbox_config::{Processors, Project, Share, Size};
use nixbox_supervisor::{Limit, Limits, Unheld};

use crate::supervise::mark;

/// Beside what is declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct Wanted {
    /// So many processors at a time, such as 1.5
    #[arg(long, value_name = "NUMBER", overrides_with = "cpu")]
    pub cpu: Option<Processors>,
    /// So much memory, such as 512MiB; what needs more is killed
    #[arg(long, value_name = "SIZE", overrides_with = "memory")]
    pub memory: Option<Size>,
    /// So many processes and threads
    #[arg(long, value_name = "NUMBER", overrides_with = "pids", value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub pids: Option<u32>,
}

impl Wanted {
    pub fn over(&self, share: Share) -> Share {
        Share { cpu: self.cpu, memory: self.memory, pids: self.pids, timeout: None }.or(share)
    }

    /// As a command line says it.
    pub fn words(&self) -> Vec<OsString> {
        let word = |name: &str, value: Option<String>| value.map(|value| OsString::from(format!("--{name}={value}")));
        [
            word("cpu", self.cpu.map(|cpu| cpu.to_string())),
            word("memory", self.memory.map(|memory| memory.to_string())),
            word("pids", self.pids.map(|pids| pids.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

pub fn limits(share: &Share) -> Limits {
    Limits {
        cpu: share.cpu.map(|cpu| cpu.thousandths().into()),
        memory: share.memory.map(|size| size.0),
        pids: share.pids.map(u64::from),
    }
}

/// The name of a job's control group: of this project's and nobody else's.
pub fn group_of(project: &Project, job: &str) -> String {
    format!("{}.{job}", family(project))
}

/// Of jobs whose supervisor was killed. For who has the lock that a supervisor needs.
pub fn clear(project: &Project) {
    nixbox_supervisor::remove_left(project.jobs.keys().map(|job| group_of(project, job)));
}

/// That of a command that this process runs.
pub fn own_group(project: &Project) -> String {
    format!("{}.exec.{}", family(project), std::process::id())
}

fn family(project: &Project) -> String {
    format!("nixbox-{}", mark(project.data_dir.as_os_str().as_encoded_bytes()))
}

/// What to say of a limit that does not hold.
pub fn warning(unheld: &Unheld) -> String {
    let what = match unheld.limit {
        Limit::Cpu => "cpu",
        Limit::Memory => "memory",
        Limit::Pids => "pids",
    };
    match unheld.instead {
        Some(instead) => format!("the limit `{what}` does not hold for the whole: {instead}; {}", unheld.why),
        None => format!("the limit `{what}` does not hold: {}", unheld.why),
    }
}
