//! The configuration is written anew while something keeps the project up.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Test, alive, fuse, owner, until};

const BOX: &str = "[instances.box]\nbase = \".\"\nexclude = [\"run\", \"tmp\"]\nmount.path = \"mnt\"\n";

fn with_jobs(jobs: &str) -> Option<Test> {
    owner();
    fuse().then(|| Test::new().config(&format!("{BOX}{jobs}")))
}

fn sleeping(name: &str, more: &str) -> String {
    format!("[jobs.{name}]\nexec = [\"sleep\", \"1000\"]\n{more}")
}

/// As an editor does it: another file takes the place of the former.
fn rewrite(test: &Test, text: &str) {
    let beside = test.path(".nixbox.toml.new");
    fs::write(&beside, format!("version = 1\nruntime_dir = \"run\"\n{text}")).unwrap();
    fs::rename(beside, test.path("nixbox.toml")).unwrap();
}

fn pid(test: &Test, name: &str) -> Option<i32> {
    let done = test.args(["ps", "--json"]).success().json();
    let row = done["jobs"].as_array().unwrap().iter().find(|row| row["job"] == name)?.clone();
    row["pid"].as_i64().map(|pid| pid as i32)
}

fn said(test: &Test) -> String {
    let logs = fs::read_dir(test.path("run")).unwrap().flatten().map(|entry| entry.path());
    let logs = logs.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".up-"));
    logs.filter(|path| path.extension().is_some_and(|end| end == "log"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn only_what_has_changed_is_restarted_what_is_new_runs_and_what_is_gone_stops() {
    let Some(test) = with_jobs(&[sleeping("a", ""), sleeping("b", ""), sleeping("c", "")].concat()) else { return };
    test.run("up -d").success();
    let (box_, a, b, c) = (test.pid("box"), pid(&test, "a"), pid(&test, "b").unwrap(), pid(&test, "c").unwrap());
    rewrite(&test, &[BOX.to_owned(), sleeping("a", ""), sleeping("b", "env.X = \"y\"\n"), sleeping("d", "")].concat());
    until("the new one runs", || pid(&test, "d").is_some());
    until("the changed one runs again", || pid(&test, "b").is_some_and(|now| now != b));
    until("what is gone has ended", || !alive(b) && !alive(c));
    assert_eq!((test.pid("box"), pid(&test, "a")), (box_, a));
    for part in ["b: has changed, and is restarted", "c: is no longer declared, and stops", "d: is new, and starts"] {
        until(part, || said(&test).contains(part));
    }
    // What says the same changes nothing, and nor does a word for people.
    let (b, d) = (pid(&test, "b"), pid(&test, "d"));
    let same =
        fs::read_to_string(test.path("nixbox.toml")).unwrap().replace("version = 1\nruntime_dir = \"run\"\n", "");
    rewrite(&test, &format!("# better said\n{}", same.replace("mount.path", "description = \"x\"\nmount.path")));
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!((test.pid("box"), pid(&test, "a"), pid(&test, "b"), pid(&test, "d")), (box_, a, b, d));
    // An instance that changes takes what lives in it along.
    rewrite(&test, &same.replace("mount.path", "env.A = \"b\"\nmount.path"));
    until("the instance is another one", || test.record("box").is_some_and(|_| test.pid("box") != box_));
    until("so are its jobs", || pid(&test, "a").is_some_and(|now| Some(now) != a));
    until("all is up", || test.run("wait a b d --timeout 20").try_code() == Some(0));
    test.run("down").success();
    assert_eq!(test.runtime_files(), [""; 0]);
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_is_told_once() {
    let Some(test) = with_jobs(&sleeping("a", "")) else { return };
    test.run("up -d").success();
    let (box_, a) = (test.pid("box"), pid(&test, "a"));
    rewrite(&test, &format!("{BOX}{}[jobs.b]\nexec = 3\n", sleeping("a", "env.X = \"y\"\n")));
    until("it is told", || said(&test).contains("jobs.b.exec"));
    std::thread::sleep(Duration::from_millis(600));
    let told = said(&test);
    assert_eq!(told.matches("jobs.b.exec").count(), 1, "{told}");
    assert!(told.contains("nixbox.toml:11"), "{told}");
    fs::remove_file(test.path("nixbox.toml")).unwrap();
    until("it is told", || said(&test).contains("nixbox::config::missing"));
    rewrite(&test, &format!("data_dir = \"other\"\n{BOX}{}", sleeping("a", "")));
    until("it is told", || said(&test).contains("nixbox::supervisor::not-reloaded"));
    assert_eq!(test.pid("box"), box_);
    rewrite(&test, &format!("{BOX}{}", sleeping("a", "")));
    assert_eq!((test.pid("box"), pid(&test, "a")), (box_, a));
    test.run("down").success();
}

#[test]
fn what_was_stopped_or_not_asked_for_stays_so() {
    let Some(test) = with_jobs(&[sleeping("a", ""), sleeping("b", ""), sleeping("c", "")].concat()) else { return };
    test.run("up -d a b").success();
    test.run("stop b").success();
    rewrite(
        &test,
        &[
            BOX.to_owned(),
            sleeping("a", "env.X = \"y\"\n"),
            sleeping("b", "env.X = \"y\"\n"),
            sleeping("c", "env.X = \"y\"\n"),
        ]
        .concat(),
    );
    let before = pid(&test, "a");
    until("the one that runs is restarted", || pid(&test, "a").is_some_and(|now| Some(now) != before));
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!((pid(&test, "b"), pid(&test, "c")), (None, None));
    // It comes as it is declared now.
    test.run("up -d b").stderr("b: ready").success();
    test.run("down").success();
}

#[test]
fn without_it_changes_wait_for_the_next_up() {
    let Some(test) = with_jobs(&sleeping("a", "")) else { return };
    let up = test.spawn("up --no-reload");
    until("it runs", || pid(&test, "a").is_some());
    let a = pid(&test, "a");
    rewrite(&test, &format!("{BOX}{}", sleeping("a", "env.X = \"y\"\n")));
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(pid(&test, "a"), a);
    test.run("up -d").stderr("a: has changed, and is restarted").success();
    up.signal(Signal::SIGINT);
    assert_eq!(up.finish().code, Some(0));
}

/// In a terminal's `up`, which has more threads then, and its own way to tell.
#[test]
fn in_the_foreground_it_says_what_it_does() {
    let Some(test) = with_jobs(&sleeping("a", "")) else { return };
    let up = test.spawn("up");
    until("it runs", || pid(&test, "a").is_some());
    until("it is followed", || {
        rewrite(&test, &format!("{BOX}{}{}", sleeping("a", ""), sleeping("b", "")));
        std::thread::sleep(Duration::from_millis(500));
        pid(&test, "b").is_some()
    });
    let a = pid(&test, "a").unwrap();
    rewrite(&test, &format!("{BOX}{}", sleeping("b", "")));
    until("it has ended", || !alive(a));
    up.signal(Signal::SIGTERM);
    let done = up.finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("b: is new, and starts"), "{}", done.stderr);
    assert!(done.stderr.contains("a: is no longer declared, and stops"), "{}", done.stderr);
}
