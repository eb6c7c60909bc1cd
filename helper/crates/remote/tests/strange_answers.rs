//! Whatever a remote answers, it is an answer or an error with a name: no panic, and no more memory than an answer may have.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fate, Network};
use nixbox_remote::{Batch, Error, Lease, Remote, Standing, Step};

/// What a server says to `SELECT`s, as this crate asks them.
const ANSWER: &str = r#"{"baton":null,"base_url":null,"results":[{"type":"ok","response":{"type":"batch","result":{"step_results":[null,{"cols":[],"rows":[],"affected_row_count":0,"last_insert_rowid":null},{"cols":[{"name":"a"}],"rows":[[{"type":"integer","value":"7"},{"type":"text","value":"x"},{"type":"blob","base64":"AQID/w"},{"type":"float","value":1.5},{"type":"null"}]],"affected_row_count":0},{"cols":[],"rows":[]},null],"step_errors":[null,null,null,null,null]}}}]}"#;

const ODD: [&str; 16] = [
    "null",
    "[]",
    "{}",
    "7",
    "-1",
    "1e999",
    "99999999999999999999999",
    "\"\"",
    "\"\\ud800\"",
    "true",
    "[[[[[[[[",
    "\"type\":",
    "{\"type\":\"blob\",\"base64\":\"!\"}",
    "{\"type\":\"integer\",\"value\":\"9223372036854775808\"}",
    "\u{0}",
    "]]}}",
];

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn mutated(&mut self) -> Vec<u8> {
        let mut answer = ANSWER.as_bytes().to_vec();
        for _ in 0..1 + self.below(3) {
            let at = self.below(answer.len());
            let end = (at + self.below(60)).min(answer.len());
            match self.below(6) {
                0 => answer[at] = self.below(256) as u8,
                1 => answer.truncate(at.max(1)),
                2 => drop(answer.splice(at..at, ODD[self.below(ODD.len())].bytes())),
                3 => drop(answer.splice(at..end, ODD[self.below(ODD.len())].bytes())),
                4 => drop(answer.drain(at..end.min(answer.len() - 1).max(at))),
                _ => {
                    let piece = answer[at..end].to_vec();
                    drop(answer.splice(at..at, piece));
                }
            }
        }
        answer
    }
}

fn asked_everything(remote: &Remote) -> Vec<Result<(), Error>> {
    let batch = Batch::of([Step::new("SELECT 1")]);
    let claim = common::claim("fuzz", std::time::Duration::from_secs(9));
    let taken = claim.take(remote, false);
    let mut all = vec![
        remote.ask(&batch_step()).map(drop),
        remote.ask_all(&batch).map(drop),
        remote.change(&batch).map(drop),
        Standing::of(remote).map(drop),
    ];
    if let Ok(Lease::Ours(held)) = &taken {
        all.push(claim.renew(remote, *held).map(drop));
    }
    all.push(taken.map(drop));
    all
}

fn batch_step() -> Step {
    Step::new("SELECT 1")
}

#[test]
fn mutated_answers_are_errors_or_answers() {
    let cases = if std::env::var_os("NIXBOX_NIGHTLY").is_some() { 20_000 } else { 400 };
    let network = Network::before(None);
    let remote = network.remote();
    let (mut random, mut junk, mut fine) = (Random(5), 0, 0);
    for _ in 0..cases {
        let answer = random.mutated();
        network.fates([Fate::Answers(answer.clone())]);
        for outcome in asked_everything(&remote) {
            match outcome {
                Ok(()) => fine += 1,
                Err(Error::Junk(_) | Error::Refused { .. } | Error::Lost(_)) => junk += 1,
                Err(other) => panic!("{other:?} of {}", String::from_utf8_lossy(&answer)),
            }
        }
    }
    assert!(fine > 0 && junk > cases, "{fine} fine, {junk} not");
}

#[test]
fn deep_and_endless_answers_take_no_more_than_they_may() {
    let network = Network::before(None);
    let remote = network.remote();
    let begin = r#"{"results":[{"type":"ok","response":{"result":{"step_results":[{"rows":["#;
    for (head, again) in [
        ("", "["),
        ("", " "),
        ("", r#"{"a":"#),
        (begin, "[],"),
        (begin, r#"[{"type":"null"}],"#),
        (begin, r#"[{"type":"text","value":"x"}],"#),
        ("", "\u{0}"),
    ] {
        network.fates([Fate::Endless(head, again)]);
        let before = peak();
        assert!(matches!(remote.ask(&batch_step()), Err(Error::Junk(_))), "{again}");
        assert!(matches!(remote.change(&Batch::of([batch_step()])), Err(Error::Junk(_))), "{again}");
        let grown = peak() - before;
        assert!(grown < 400 << 10, "{again:?} took {grown} KiB");
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_token_that_is_said_back_is_told_to_nobody() {
    const TOKEN: &str = "canary-8c1f";
    let network = Network::before(None);
    let remote = Remote::new(&common::endpoint(&network.url()), Some(TOKEN), common::quick()).unwrap();
    let refused = format!(r#"{{"results":[{{"type":"error","error":{{"message":"no {TOKEN}"}}}}]}}"#);
    let junk = format!(r#"{{"results":"{TOKEN}"}}"#);
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    for fate in [
        Fate::Says(500, leak(format!("sorry, {TOKEN}"))),
        Fate::Says(500, leak(format!("{}{TOKEN}", "a".repeat(295)))),
        Fate::Redirects(leak(format!("https://elsewhere.example/{TOKEN}"))),
        Fate::Answers(refused.into_bytes()),
        Fate::Answers(junk.into_bytes()),
    ] {
        network.fates([fate.clone()]);
        let error = remote.ask(&batch_step()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cana"), "{fate:?}: {error}");
    }
}
