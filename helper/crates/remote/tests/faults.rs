//! Batches are whole or not at all, and whatever goes wrong on the way has a name.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Fate, Network, Server, endpoint, quick, remote};
use nixbox_remote::{Batch, Deadlines, Error, Remote, Step};

fn count(remote: &Remote) -> i64 {
    let rows = remote.ask(&Step::new("SELECT count(*) FROM t")).unwrap();
    nixbox_remote::Rows::int(&rows.rows[0], 0).unwrap()
}

fn insert(value: i64) -> Step {
    Step::with("INSERT INTO t VALUES (?)", [value.into()])
}

fn server_with_table() -> Option<Server> {
    let server = Server::start()?;
    server.remote().change(&Batch::of([Step::new("CREATE TABLE t (a INTEGER PRIMARY KEY NOT NULL)")])).unwrap();
    Some(server)
}

#[test]
fn a_batch_with_one_step_refused_did_not_happen() {
    let Some(server) = server_with_table() else { return };
    let remote = server.remote();
    let answers = remote.change(&Batch::of([insert(1), Step::new("SELECT a FROM t"), insert(2)])).unwrap();
    assert_eq!(answers[1].rows, [[1.into()]]);
    match remote.change(&Batch::of([insert(3), insert(4), insert(1), insert(5)])) {
        Err(Error::Refused { step: 2, message }) => assert!(message.contains("UNIQUE"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(count(&remote), 2);
}

#[test]
fn what_another_left_open_is_taken_back_first() {
    let Some(server) = server_with_table() else { return };
    let remote = server.remote();
    // On this server all clients have one connection; a statement by itself is not put into a transaction.
    remote.ask(&Step::new("BEGIN IMMEDIATE")).unwrap();
    remote.ask(&insert(1)).unwrap();
    remote.change(&Batch::of([insert(2)])).unwrap();
    assert_eq!(count(&remote), 1);
}

#[test]
fn a_server_killed_in_the_middle_has_all_of_a_batch_or_nothing() {
    let Some(mut server) = server_with_table() else { return };
    for round in 0..5i64 {
        let before = count(&server.remote());
        let blob = Step::with("CREATE TABLE IF NOT EXISTS large (data BLOB)", []);
        let fill = |_| Step::with("INSERT INTO large VALUES (?)", [vec![7u8; 1 << 20].into()]);
        let mut steps = vec![blob, insert(round * 10)];
        steps.extend((0..12).map(fill));
        steps.push(insert(round * 10 + 1));
        let batch = Batch::of(steps);
        let remote = server.remote();
        let sent = std::thread::scope(|scope| {
            let sent = scope.spawn(|| remote.change(&batch));
            std::thread::sleep(Duration::from_millis(30 + 60 * round as u64));
            server.kill();
            sent.join().unwrap()
        });
        server.again();
        let came = count(&server.remote()) - before;
        match sent {
            Ok(_) => assert_eq!(came, 2),
            Err(error) => assert!(came == 0 || (came == 2 && error.may_have_happened()), "{came} after {error}"),
        }
    }
}

#[test]
fn each_fault_has_its_name() {
    let network = Network::before(None);
    let ask = |fate: Fate| {
        network.fates([fate]);
        network.remote().ask(&Step::new("SELECT 1")).unwrap_err()
    };
    assert!(matches!(ask(Fate::Dropped), Error::BrokenOff(_)));
    assert!(matches!(ask(Fate::Says(401, "no")), Error::NotAllowed { status: 401, token: false }));
    assert!(matches!(ask(Fate::Says(403, "no")), Error::NotAllowed { status: 403, .. }));
    assert!(matches!(ask(Fate::Says(404, "no")), Error::NotFound));
    let error = ask(Fate::Says(500, "out of\n\x1b[31mluck"));
    assert_eq!(error.to_string(), "it answers with 500: out of [31mluck");
    assert!(error.is_passing());
    assert!(!ask(Fate::Says(400, "")).is_passing());
    let error = ask(Fate::Redirects("https://elsewhere.example/"));
    assert!(matches!(&error, Error::Redirected { status: 302, to } if to == "https://elsewhere.example/"), "{error:?}");
    for junk in ["", "<html>", "{}", r#"{"results":[]}"#, r#"{"results":[{"type":"ok"}]}"#, "\u{0}\u{1}"] {
        let error = ask(Fate::Junk(junk));
        assert!(matches!(error, Error::Junk(_)), "{junk:?}: {error:?}");
    }
    let error =
        Remote::new(&endpoint("http://127.0.0.1:9"), None, quick()).unwrap().ask(&Step::new("SELECT 1")).unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
}

#[test]
fn an_answer_that_is_lost_leaves_open_whether_it_happened() {
    let Some(server) = server_with_table() else { return };
    let network = Network::before(Some(server.port));
    for (value, fate) in [(1, Fate::AnswerLost), (2, Fate::AnswerCut)] {
        network.fates([fate, Fate::Pass]);
        let error = network.remote().change(&Batch::of([insert(value)])).unwrap_err();
        assert!(error.may_have_happened() && matches!(error, Error::BrokenOff(_)), "{error:?}");
        assert_eq!(count(&server.remote()), value);
    }
}

#[test]
fn a_question_is_asked_again_and_a_change_never_is() {
    let Some(server) = server_with_table() else { return };
    let network = Network::before(Some(server.port));
    let patient = Deadlines { tries: 4, ..quick() };
    let remote = Remote::new(&endpoint(&network.url()), None, patient).unwrap();
    network.fates([Fate::Dropped, Fate::Says(503, "later"), Fate::AnswerCut, Fate::Pass]);
    remote.ask(&Step::new("SELECT 1")).unwrap();
    assert_eq!(network.seen(), 4);
    network.fates([Fate::Dropped, Fate::Pass]);
    remote.change(&Batch::of([insert(1)])).unwrap_err();
    assert_eq!(network.seen(), 5);
    network.fates([Fate::Says(401, ""), Fate::Pass]);
    remote.ask(&Step::new("SELECT 1")).unwrap_err();
    assert_eq!(network.seen(), 6);
}

#[test]
fn silence_has_an_end() {
    let network = Network::before(None);
    network.fates([Fate::Late(Duration::from_secs(600))]);
    let impatient = Deadlines { silence: Duration::from_millis(300), ..quick() };
    let remote = Remote::new(&endpoint(&network.url()), None, impatient).unwrap();
    let error = remote.ask(&Step::new("SELECT 1")).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error:?}");
}

#[test]
fn a_token_is_sent_and_told_to_nobody_else() {
    const TOKEN: &str = "canary-8c1f";
    let network = Network::before(None);
    network.fates([Fate::Says(401, "no")]);
    let remote = Remote::new(&endpoint(&network.url()), Some(&format!(" {TOKEN}\n")), quick()).unwrap();
    let error = remote.ask(&Step::new("SELECT 1")).unwrap_err();
    assert!(matches!(error, Error::NotAllowed { token: true, .. }));
    assert!(network.last().contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{}", network.last());
    assert!(!format!("{error} {error:?}").contains(TOKEN));
    let odd = Remote::new(&endpoint(&network.url()), Some("a\nb"), quick());
    assert!(matches!(odd.err(), Some(Error::Token)));
    let elsewhere = Network::before(None);
    let to: &'static str = Box::leak(elsewhere.url().into_boxed_str());
    network.fates([Fate::Redirects(to)]);
    assert!(matches!(remote.ask(&Step::new("SELECT 1")), Err(Error::Redirected { .. })));
    assert_eq!(elsewhere.seen(), 0);
}

#[test]
fn values_of_every_kind_come_back_as_they_went() {
    let Some(server) = Server::start() else { return };
    let remote = remote(&server.url());
    let every: Vec<u8> = (0..=255).collect();
    let values = [
        i64::MAX.into(),
        i64::MIN.into(),
        0.1.into(),
        "ä\u{0}\"\\\u{1F600}".into(),
        every.into(),
        nixbox_remote::Value::Null,
    ];
    remote.change(&Batch::of([Step::new("CREATE TABLE v (a, b, c, d, e, f)")])).unwrap();
    remote.change(&Batch::of([Step::with("INSERT INTO v VALUES (?, ?, ?, ?, ?, ?)", values.clone())])).unwrap();
    assert_eq!(remote.ask(&Step::new("SELECT * FROM v")).unwrap().rows, [values]);
}
