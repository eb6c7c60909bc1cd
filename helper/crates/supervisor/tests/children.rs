//! Real children, all of them small shells.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nixbox_state::Process;
use nixbox_supervisor::{Ended, Event, Id, Placement, Sink, Spec, State, Supervisor};

const LONG: Duration = Duration::from_secs(90);

fn sh(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

/// Every event until that child has ended.
fn until_ended(supervisor: &mut Supervisor, id: Id) -> (Vec<Event>, Ended) {
    let deadline = Instant::now() + LONG;
    let mut seen = Vec::new();
    loop {
        match supervisor.next(Some(deadline)).unwrap() {
            Event::Ended { child, ended } if child == id => return (seen, ended),
            Event::Deadline => panic!("it did not end; seen: {seen:?}"),
            event => seen.push(event),
        }
    }
}

fn line(supervisor: &mut Supervisor) -> String {
    loop {
        match supervisor.next(Some(Instant::now() + LONG)).unwrap() {
            Event::Output { text, .. } => return text.trim_end().to_owned(),
            Event::Deadline => panic!("no line came"),
            _ => {}
        }
    }
}

fn wait_gone(process: Process) -> bool {
    let deadline = Instant::now() + LONG;
    while process.is_alive() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    !process.is_alive()
}

#[test]
fn output_comes_before_the_end_and_the_last_lines_stay() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let id = supervisor.start(sh("echo out; echo err >&2; printf last; exit 3")).unwrap();
    let (seen, ended) = until_ended(&mut supervisor, id);
    // In as many pieces as it came in.
    let text = |event: &Event| match event {
        Event::Output { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(seen.iter().map(text).collect::<String>(), "out\nerr\nlast\n");
    assert_eq!(ended.last, ["out", "err", "last"]);
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(ended.describe(), "exit code 3");
    assert!(!ended.asked);
    assert_eq!(supervisor.running(), 0);
    assert!(matches!(supervisor.child(id).unwrap().state(), State::Finished { .. }));
}

#[test]
fn a_polite_child_is_never_killed() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let id = supervisor.start(sh("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")).unwrap();
    assert_eq!(line(&mut supervisor), "up");
    supervisor.stop(id, LONG).unwrap();
    let (seen, ended) = until_ended(&mut supervisor, id);
    assert_eq!(seen, [Event::Output { child: id, text: "bye\n".into() }]);
    assert!(ended.success() && ended.asked);
}

#[test]
fn a_child_that_ignores_term_is_killed_with_its_grandchildren() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let id = supervisor.start(sh("trap '' TERM; sleep 300 & echo $!; while :; do sleep 0.05; done")).unwrap();
    let grandchild = Process::of(line(&mut supervisor).parse().unwrap()).unwrap().unwrap();
    let begun = Instant::now();
    supervisor.stop(id, Duration::from_millis(150)).unwrap();
    let (seen, ended) = until_ended(&mut supervisor, id);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(seen, [Event::GraceOver { child: id }]);
    assert_eq!(ended.describe(), "signal SIGKILL");
    assert!(wait_gone(grandchild));
}

#[test]
fn grandchildren_that_hold_the_pipe_do_not_delay_the_end() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let begun = Instant::now();
    let id = supervisor.start(sh("sleep 300 & echo $!")).unwrap();
    let (_, ended) = until_ended(&mut supervisor, id);
    assert!(begun.elapsed() < LONG);
    let left: i32 = ended.last[0].parse().unwrap();
    assert!(Process::of(left).unwrap().is_none_or(wait_gone));
}

#[test]
fn all_stop_at_the_same_time() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let script = "trap 'echo told; sleep 0.4; exit 0' TERM; echo up; while :; do sleep 0.02; done";
    for _ in 0..6 {
        supervisor.start(sh(script)).unwrap();
        line(&mut supervisor);
    }
    supervisor.stop_all(LONG).unwrap();
    let (mut told, mut told_before, mut ends) = (0, 0, 0);
    while supervisor.running() > 0 {
        match supervisor.next(Some(Instant::now() + LONG)).unwrap() {
            Event::Output { text, .. } => told += text.matches("told").count(),
            Event::Ended { .. } => {
                if ends == 0 {
                    told_before = told;
                }
                ends += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ends, 6, "an end found together with another must still be told");
    // Six, unless the machine stands still. One after the other it is one.
    assert!(told_before > 1, "{told_before} were told before the first had ended");
}

#[test]
fn the_child_gets_no_descriptor_of_ours_and_no_blocked_signal() {
    let mut supervisor = Supervisor::new(&[Signal::SIGUSR1]).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let id = supervisor.start(sh("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status")).unwrap();
    let (_, ended) = until_ended(&mut supervisor, id);
    // 0, 1, 2 and the folder that `ls` itself reads.
    assert_eq!(ended.last[0].trim(), "4");
    assert!(ended.last[1].ends_with("0000000000000000"), "{:?}", ended.last);
    drop((reader, writer));
}

#[test]
fn a_detached_child_leads_its_own_session_and_writes_a_private_log() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("child.log");
    std::fs::write(&log, "before\n").unwrap();
    let spec =
        sh("cut -d' ' -f6 /proc/$$/stat; echo pid $$; readlink /proc/self/fd/0").output(Sink::Append(log.clone()));
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let id = supervisor.start(spec.placement(Placement::Detached)).unwrap();
    let pid = supervisor.child(id).unwrap().process().unwrap().pid.to_string();
    until_ended(&mut supervisor, id);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(lines, ["before", &pid, &format!("pid {pid}"), "/dev/null"]);
    assert_eq!(std::fs::metadata(&log).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn signals_and_wakers_interrupt_the_sleep() {
    let mut supervisor = Supervisor::new(&[Signal::SIGUSR2]).unwrap();
    let waker = supervisor.waker();
    let thread = std::thread::spawn(move || waker.wake());
    assert_eq!(supervisor.next(Some(Instant::now() + LONG)).unwrap(), Event::Woken);
    thread.join().unwrap();
    nix::sys::signal::raise(Signal::SIGUSR2).unwrap();
    assert_eq!(supervisor.next(Some(Instant::now() + LONG)).unwrap(), Event::Signal(Signal::SIGUSR2));
    let begun = Instant::now();
    assert_eq!(supervisor.next(Some(begun + Duration::from_millis(30))).unwrap(), Event::Deadline);
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn what_cannot_be_started_is_an_error_and_no_child() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    let error = supervisor.start(Spec::new("/nonexistent/program")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(supervisor.running(), 0);
}

#[test]
fn it_wakes_at_a_time_of_the_day_and_sleeps_until_then() {
    let mut supervisor = Supervisor::new(&[]).unwrap();
    // A machine that stands still comes too late to find it asleep.
    let found_asleep = [200, 2000, 20_000].into_iter().any(|time| {
        let at = std::time::SystemTime::now() + Duration::from_millis(time);
        supervisor.wake_at(at).unwrap();
        let first = supervisor.next(Some(Instant::now() + Duration::from_millis(time / 4))).unwrap();
        if first == Event::Deadline {
            assert_eq!(supervisor.next(Some(Instant::now() + LONG)).unwrap(), Event::Woken);
        }
        assert!(std::time::SystemTime::now() >= at);
        first == Event::Deadline
    });
    assert!(found_asleep);
    // Once.
    assert_eq!(supervisor.next(Some(Instant::now() + Duration::from_millis(100))).unwrap(), Event::Deadline);
    supervisor.wake_at(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(supervisor.next(Some(Instant::now() + LONG)).unwrap(), Event::Woken);
}
