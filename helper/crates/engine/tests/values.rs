//! Values and tool calls, beside the files and kept with them.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use nixbox_engine::{Database, Filter, Finished, Options, Outcome, ToolCall};
use support::options;

fn open(dir: &Path) -> Database {
    Database::open_or_create(&dir.join("a.db"), &options()).unwrap()
}

#[test]
fn values_are_set_got_listed_and_deleted_and_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(dir.path());
    let kv = database.kv();
    kv.set("a/1", "{\"n\": 12345678901234567890}").unwrap();
    kv.set("a%2", "[]").unwrap();
    kv.set("a/2", "\"\"").unwrap();
    kv.set("", "null").unwrap();
    let before = kv.get("a/2").unwrap().unwrap();
    kv.set("a/2", "7").unwrap();
    database.close().unwrap();

    let database = open(dir.path());
    let kv = database.kv();
    let after = kv.get("a/2").unwrap().unwrap();
    assert_eq!((after.value.as_str(), after.created_at), ("7", before.created_at));
    assert!(after.updated_at >= before.updated_at && before.created_at.is_some());
    let keys = |prefix| kv.page(prefix, None).unwrap().into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    assert_eq!(keys("a/"), ["a/1", "a/2"]);
    assert_eq!(keys("a%"), ["a%2"]);
    assert_eq!(keys(""), ["", "a%2", "a/1", "a/2"]);
    assert_eq!(kv.page("", Some("a/1")).unwrap().len(), 1);
    assert_eq!(kv.get("a/1").unwrap().unwrap().value, "{\"n\": 12345678901234567890}");
    assert!(kv.delete("a/1").unwrap() && !kv.delete("a/1").unwrap());
    assert_eq!(kv.get("a/1").unwrap(), None);
}

#[test]
fn a_call_has_one_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(dir.path());
    let calls = database.tool_calls();
    let begun = std::time::Instant::now();
    let id = calls.start("grep", Some("{\"path\":\"/a\"}")).unwrap();
    assert_eq!(calls.get(id).unwrap().unwrap().status, "pending");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(calls.finish(id, Outcome::Error { error: "no" }).unwrap(), Finished::Now);
    let most = begun.elapsed().as_secs_f64() * 1000.0 + 50.0;
    assert_eq!(calls.finish(id, Outcome::Success { result: Some("1") }).unwrap(), Finished::Before);
    assert_eq!(calls.finish(id + 1, Outcome::Success { result: None }).unwrap(), Finished::NoSuchCall);
    let call = calls.get(id).unwrap().unwrap();
    assert_eq!((call.status.as_str(), call.error.as_deref(), call.result), ("error", Some("no"), None));
    let duration = call.duration_ms.unwrap();
    assert!((20.0..most).contains(&duration), "{duration} of {most}");
    assert_eq!(call.started_at.fract(), 0.0);
}

#[test]
fn filters_come_before_the_end_of_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(dir.path());
    let calls = database.tool_calls();
    calls.record("rare", None, Outcome::Success { result: None }, 5).unwrap();
    for n in 0..1200 {
        let parameters = format!("{{\"path\":\"/d/{n}\"}}");
        calls.record("often", Some(&parameters), Outcome::Success { result: Some("{}") }, 1500).unwrap();
    }
    let all = |filter: &Filter| {
        let (mut found, mut behind): (Vec<ToolCall>, _) = (Vec::new(), None);
        loop {
            let (page, next) = calls.page(filter, behind).unwrap();
            found.extend(page);
            behind = next;
            if behind.is_none() {
                return found;
            }
        }
    };
    assert_eq!(all(&Filter::default()).len(), 1201);
    assert_eq!(all(&Filter { tool: Some("rare".into()), ..Filter::default() }).len(), 1);
    assert_eq!(all(&Filter { path: Some("/d/7".into()), ..Filter::default() }).len(), 1);
    assert_eq!(all(&Filter { status: Some("error".into()), ..Filter::default() }).len(), 0);
    let newest = calls.get(calls.newest().unwrap()).unwrap().unwrap();
    assert_eq!(all(&Filter { until: Some(newest.started_at - 10.0), ..Filter::default() }).len(), 0);
    assert_eq!(newest.duration_ms, Some(1500.0));
}

#[test]
fn nothing_is_changed_in_a_read_only_database() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let options = Options { read_only: true, ..options() };
    let database = Database::open_or_create(&dir.path().join("a.db"), &options).unwrap();
    assert_eq!(database.kv().set("a", "1").unwrap_err().errno(), libc::EROFS);
    assert!(database.tool_calls().is_read_only());
}
