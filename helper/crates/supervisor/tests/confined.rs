//! Commands that may take so much of the machine, held to it by the kernel. In a program of its own: what they leave
//! behind is looked for below the whole process, so they run one after the other.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::shell;
use nix::unistd::geteuid;
use nixbox_supervisor::{Confinement, Ending, Foreground, Limits};

/// `None` where this process may make no groups, or the machine bounds nothing in them.
fn held(name: &str, limits: Limits, foreground: Foreground) -> Option<Ending> {
    let name = format!("nixbox-{name}.exec.{}", std::process::id());
    let (confinement, unheld) = Confinement::prepare(&name, &limits, geteuid());
    if let Some(one) = unheld.first() {
        println!("skipped: {}", one.why);
        return None;
    }
    let ended = Foreground { confinement, leaves_nothing: true, ..foreground }.run().unwrap();
    assert!(!is_there(Path::new("/sys/fs/cgroup"), &name, 8), "the group {name} is left");
    Some(ended)
}

fn is_there(below: &Path, name: &str, depth: usize) -> bool {
    let folders = std::fs::read_dir(below).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .map(|entry| entry.path())
        .any(|path| path.file_name().is_some_and(|last| last == name) || depth > 0 && is_there(&path, name, depth - 1))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_a_command_takes_is_bounded() {
    memory();
    pids();
    processors();
    nothing_is_left();
    each_process_where_there_is_no_group();
}

fn memory() {
    let limits = Limits { memory: Some(48 << 20), ..Limits::default() };
    // Without a newline `tail` keeps all of it.
    let Some(ended) = held("memory", limits, shell("head -c 300000000 /dev/zero | tail; exit 3")) else { return };
    assert!(ended.out_of_memory, "{ended:?}");
    assert_eq!(ended.code(), 3);
    let ended = held("memory", limits, shell("head -c 1000000 /dev/zero | tail | wc -c")).unwrap();
    assert!(!ended.out_of_memory && ended.code() == 0, "{ended:?}");
}

fn pids() {
    let limits = Limits { pids: Some(6), ..Limits::default() };
    let script = "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; wait";
    let Some(ended) = held("pids", limits, shell(script)) else { return };
    assert_ne!(ended.code(), 0);
    assert!(text(&ended.output.stderr).to_lowercase().contains("fork"), "{ended:?}");
}

fn processors() {
    let limits = Limits { cpu: Some(200), ..Limits::default() };
    let busy = Foreground {
        limit: Some(Duration::from_millis(1500)),
        ..shell("trap 'cut -d\" \" -f14,15 /proc/$$/stat; exit' TERM; while :; do :; done")
    };
    let Some(ended) = held("cpu", limits, busy) else { return };
    let said = text(&ended.output.stdout);
    let ticks: u64 = said.split_ascii_whitespace().map(|number| number.parse::<u64>().unwrap()).sum();
    // A fifth of a processor, and what the way there took: never half of one.
    let half = ended.took.as_millis() as u64 / 20;
    assert!(ended.timed_out && (1..half).contains(&ticks), "{ticks} hundredths of a second: {ended:?}");
}

/// Not what has a session of its own, has lost its parent and ignores that it is to end.
fn nothing_is_left() {
    let script = "(setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' &); sleep 0.2";
    let Some(ended) = held("left", Limits { pids: Some(50), ..Limits::default() }, shell(script)) else { return };
    let pid = text(&ended.output.stdout).trim().to_owned();
    assert!(!pid.is_empty() && !Path::new("/proc").join(&pid).exists(), "{pid} is left");
}

/// A name with a folder that is not there stands for a machine that has no groups.
fn each_process_where_there_is_no_group() {
    let limits = Limits { cpu: Some(1000), memory: Some(64 << 20), pids: Some(10) };
    let (confinement, unheld) = Confinement::prepare("no/such.group", &limits, geteuid());
    let instead: Vec<_> = unheld.iter().map(|one| one.instead.is_some()).collect();
    assert_eq!(instead, [false, true, !geteuid().is_root()]);
    let ended = Foreground { confinement, ..shell("ulimit -d") }.run().unwrap();
    assert_eq!(text(&ended.output.stdout).trim(), "65536");
}
