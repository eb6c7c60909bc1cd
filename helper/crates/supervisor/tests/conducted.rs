//! Units of real processes, kept as their plan says.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use nixbox_state::Process;
use nixbox_supervisor::{
    Backoff, Condition, Conductor, HealthCheck, LogFile, Need, News, On, Phase, Readiness, Restart, Spec, Supervisor,
    Unit, Why, tree_of,
};

const LONG: Duration = Duration::from_secs(90);

fn unit(name: &str, script: &str) -> Unit {
    let backoff = Backoff { min: Duration::from_millis(10), max: Duration::from_millis(50), factor: 2.0 };
    Unit {
        name: name.into(),
        spec: Spec::new("/bin/sh").args(["-c", script]),
        needs: Vec::new(),
        ready: Readiness::Started,
        restart: Restart { backoff, ..Restart::default() },
        health: None,
        grace: Duration::from_millis(300),
        log: None,
        apart: false,
        group: None,
        version: String::new(),
    }
}

fn conduct(units: Vec<Unit>, socket: Option<&Path>) -> Conductor {
    // What a unit leaves behind comes to this process, as it comes to a supervisor.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let mut conductor = Conductor::new(Supervisor::new(&[]).unwrap(), socket).unwrap();
    let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
    conductor.take(units, true).unwrap();
    conductor.want(&names, false).unwrap();
    conductor
}

/// The news until one is as wanted, that one last.
fn until(conductor: &mut Conductor, wanted: impl Fn(&News) -> bool) -> Vec<News> {
    let (deadline, mut all) = (Instant::now() + LONG, Vec::new());
    loop {
        let news = conductor.next(Some(deadline)).unwrap();
        assert_ne!(news, News::Deadline, "{all:?}");
        all.push(news);
        if wanted(&all[all.len() - 1]) {
            return all;
        }
    }
}

fn moved<'n>(unit: &'n str, phase: impl Fn(&Phase) -> bool + 'n) -> impl Fn(&News) -> bool + 'n {
    move |news| matches!(news, News::Moved { unit: name, phase: to } if name == unit && phase(to))
}

fn line<'n>(wanted: &'n str) -> impl Fn(&News) -> bool + 'n {
    move |news| matches!(news, News::Output { text, .. } if text.lines().any(|line| line == wanted))
}

fn stop(conductor: &mut Conductor, names: &[&str]) {
    conductor.leave(&names.iter().map(|&name| name.into()).collect::<Vec<_>>(), None).unwrap();
    let last = names[0];
    until(conductor, moved(last, |phase| *phase == Phase::Stopped));
}

/// Everything in one place, since what is left behind comes to the process: tests side by side would see each other's.
#[test]
fn units() {
    nothing_of_a_unit_is_left();
    what_it_left_behind_goes_when_it_ends_by_itself();
    a_crash_loop_ends();
    an_overrunning_probe_is_killed_with_its_children();
    health_decides();
    readiness_is_told();
    order_is_kept();
    output_is_kept();
}

/// It ignores TERM, and so do a child in a session of its own and one that has lost its parent.
fn nothing_of_a_unit_is_left() {
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &
        (sh -c 'trap \"\" TERM; while :; do sleep 1; done' &) ; echo up; while :; do sleep 1; done";
    for _ in 0..5 {
        let mut conductor = conduct(vec![unit("a", script)], None);
        until(&mut conductor, line("up"));
        let tree = tree_of(conductor.process("a").unwrap().pid);
        assert!(tree.len() >= 3, "{tree:?}");
        stop(&mut conductor, &["a"]);
        assert!(!tree.iter().any(Process::is_alive));
        assert_eq!(tree_of(std::process::id() as i32).len(), 1);
    }
}

fn what_it_left_behind_goes_when_it_ends_by_itself() {
    let mut conductor = conduct(vec![unit("a", "setsid sleep 1000 & (sleep 1000 &) ; exit 0")], None);
    until(&mut conductor, moved("a", |phase| *phase == Phase::Completed));
    assert_eq!(tree_of(std::process::id() as i32).len(), 1);
}

fn a_crash_loop_ends() {
    let mut conductor = conduct(vec![unit("a", "echo again; exit 7")], None);
    let all = until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Failed(_))));
    assert_eq!(all.iter().filter(|news| line("again")(news)).count(), 6);
    let Phase::Failed(Why::CrashLoop { restarts: 5, last }) = &conductor.member("a").unwrap().phase else { panic!() };
    assert!(matches!(&**last, Why::Ended(ended) if ended.last == ["again"]), "{last:?}");
    assert!(!conductor.is_busy());
    // A program that is not there is told of in the same way.
    let mut absent = unit("a", "");
    absent.spec = Spec::new("/no/such/program");
    let mut conductor = conduct(vec![absent], None);
    until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Failed(Why::CrashLoop { .. }))));
}

fn check(script: &str) -> HealthCheck {
    HealthCheck {
        probe: Spec::new("/bin/sh").args(["-c", script]),
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(100),
        retries: 2,
        start_period: Duration::ZERO,
    }
}

fn an_overrunning_probe_is_killed_with_its_children() {
    let mut ill = unit("a", "sleep 1000");
    ill.health = Some(check("setsid sleep 1000 & sleep 1000"));
    ill.restart.max = 1;
    let mut conductor = conduct(vec![ill], None);
    until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Failed(_))));
    let why = conductor.member("a").unwrap().phase.clone();
    assert_eq!(why, Phase::Failed(Why::CrashLoop { restarts: 1, last: Box::new(Why::Unwell) }));
    // Nor a probe of the one that was killed with its unit.
    let deadline = Instant::now() + LONG;
    while tree_of(std::process::id() as i32).len() > 1 && Instant::now() < deadline {
        let _ = conductor.next(Some(Instant::now() + Duration::from_millis(20))).unwrap();
    }
    assert_eq!(tree_of(std::process::id() as i32).len(), 1);
}

fn health_decides() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("well");
    let mut one = unit("a", "sleep 1000");
    one.health = Some(check(&format!("test -e {}", flag.display())));
    let health = one.health.as_mut().unwrap();
    (health.start_period, health.timeout) = (LONG, LONG);
    one.restart.on = On::Never;
    let mut conductor = conduct(vec![one], None);
    until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Starting { .. })));
    assert_eq!(conductor.next(Some(Instant::now() + Duration::from_millis(150))).unwrap(), News::Deadline);
    std::fs::write(&flag, "").unwrap();
    until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Ready { .. })));
    stop(&mut conductor, &["a"]);
}

fn readiness_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify.sock");
    let say = "import os,socket;socket.socket(1,2).sendto(b'STATUS=x\\nREADY=1\\n',os.environ['NOTIFY_SOCKET'])";
    let mut teller = unit("a", "");
    teller.spec = Spec::new("python3").args(["-c", &format!("{say};import time;time.sleep(1000)")]);
    teller.ready = Readiness::Notified;
    // What another process says counts for nobody.
    let mut other = unit("b", &format!("python3 -c \"{say}\"; sleep 1000"));
    other.ready = Readiness::Notified;
    let mut conductor = conduct(vec![teller, other], Some(&socket));
    until(&mut conductor, moved("a", |phase| matches!(phase, Phase::Ready { .. })));
    assert!(matches!(conductor.member("b").unwrap().phase, Phase::Starting { .. }));
    stop(&mut conductor, &["a"]);
    stop(&mut conductor, &["b"]);
    drop(conductor);
    assert!(!socket.exists());
}

fn order_is_kept() {
    let mut first = unit("first", "sleep 0.1; echo done");
    first.restart.on = On::Never;
    let mut second = unit("second", "echo begun; exec sleep 1000");
    second.needs = vec![Need { unit: "first".into(), condition: Condition::Completed, bound: false }];
    let mut conductor = conduct(vec![second, first], None);
    let all = until(&mut conductor, line("begun"));
    assert!(all.iter().any(line("done")), "{all:?}");
    stop(&mut conductor, &["second"]);
}

fn output_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut one = unit("a", "echo one; echo two >&2; printf three");
    one.log = Some(LogFile { path: path.clone(), max_size: 1 << 20, keep: 1 });
    let mut conductor = conduct(vec![one], None);
    until(&mut conductor, moved("a", |phase| *phase == Phase::Completed));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert_eq!(lines, ["one", "two", "three"]);
}
