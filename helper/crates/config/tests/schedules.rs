//! What is run at certain times, as it is written, and what is wrong with it.
#![allow(clippy::unwrap_used)]

mod support;

use nixbox_config::{Overlap, What, When};
use support::Scene;

fn scene(text: &str) -> Scene {
    Scene::new(&format!("version = 1\n[instances.i]\n[schedules.s]\n{text}\n"))
}

/// Each problem, by its code, its line and its key.
fn problems(text: &str) -> Vec<(String, usize, String)> {
    let place = |failure: &nixbox_report::Failure| {
        let place = failure.place.clone().unwrap();
        let code = failure.code.id.trim_start_matches("nixbox::config::").to_owned();
        (code, place.line.unwrap(), place.key.unwrap())
    };
    scene(text).failures().iter().map(place).collect()
}

fn fails(text: &str, code: &str, line: usize, key: &str) {
    assert_eq!(problems(text), [(code.to_owned(), line, format!("schedules.s{key}"))], "{text}");
}

#[test]
fn a_schedule_says_when_and_what() {
    let project =
        scene("cron = \"0 3 * * *\"\ntimezone = \"Europe/Berlin\"\nexec = [\"make\", \"x y\"]\njitter = \"5min\"")
            .project();
    let schedule = &project.schedules["s"];
    let when = When::Cron { cron: "0 3 * * *".into(), timezone: Some("Europe/Berlin".into()) };
    assert_eq!((&schedule.when, schedule.overlap, schedule.catch_up), (&when, Overlap::Skip, false));
    assert_eq!(schedule.what, What::Exec { instance: "i".into(), words: vec!["make".into(), "x y".into()] });
    assert_eq!((schedule.jitter.0.as_secs(), schedule.enable), (300, true));
    let project = scene("at = \"2026-11-21T06:45:00Z\"\nrun = [\"sync\", \"push\"]\noverlap = \"queue\"").project();
    let schedule = &project.schedules["s"];
    assert_eq!((&schedule.when, schedule.overlap), (&When::At("2026-11-21T06:45:00Z".into()), Overlap::Queue));
    assert_eq!(schedule.what, What::Verb(vec!["sync".into(), "push".into()]));
}

#[test]
fn what_is_never_due_or_is_no_time_is_refused_on_its_line() {
    let run = |text: &str| format!("run = [\"status\"]\n{text}");
    fails(&run("cron = \"0 0 31 2 *\""), "schedule", 5, ".cron");
    fails(&run("cron = \"61 * * * *\""), "schedule", 5, ".cron");
    fails(&run("cron = \"* * * *\""), "schedule", 5, ".cron");
    fails(&run("cron = \"@daily\"\ntimezone = \"Europe/Atlantis\""), "schedule", 6, ".timezone");
    fails(&run("at = \"2026-02-30T00:00:00Z\""), "value", 5, ".at");
    fails(&run("at = \"tomorrow\""), "value", 5, ".at");
    let why = scene(&run("cron = \"0 0 31 2 *\"")).failures()[0].why.clone().unwrap();
    assert!(why.contains("no day of any year"), "{why}");
}

#[test]
fn one_time_and_one_thing_to_run() {
    fails("run = [\"status\"]", "value", 3, ".cron");
    fails("run = [\"status\"]\ncron = \"@daily\"\nat = \"2026-11-21T06:45:00Z\"", "value", 6, ".at");
    fails("cron = \"@daily\"", "value", 3, ".run");
    fails("cron = \"@daily\"\nrun = []", "value", 5, ".run");
    fails("cron = \"@daily\"\nrun = [\"status\"]\nexec = [\"x\"]", "value", 6, ".exec");
    fails("cron = \"@daily\"\nrun = [\"status\"]\ninstance = \"i\"", "value", 6, ".instance");
    fails("at = \"2026-11-21T06:45:00Z\"\nrun = [\"status\"]\ntimezone = \"UTC\"", "value", 6, ".timezone");
    fails("cron = \"@daily\"\nexec = [\"x\"]\ninstance = \"j\"", "schedule", 6, ".instance");
    fails("cron = \"@daily\"\nexec = [\"curl\", \"https://u:pass@h/\"]", "secret", 5, ".exec");
    fails("cron = \"@daily\"\nrun = [\"status\"]\noverlap = \"both\"", "type", 6, ".overlap");
    fails("cron = \"@daily\"\nrun = [\"status\"]\njitter = \"5\"", "value", 6, ".jitter");
}

#[test]
fn nothing_else_is_called_as_a_schedule_is() {
    let text = "version = 1\n[instances.s]\n[schedules.s]\ncron = \"@daily\"\nrun = [\"status\"]\n";
    let failure = Scene::new(text).failures().remove(0);
    assert!(failure.what.contains("both called s"), "{failure:?}");
}
