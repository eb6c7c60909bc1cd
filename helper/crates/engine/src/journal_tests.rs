#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::{Arg, EachRow};

/// What has not happened by then never will.
const HANGS: Duration = Duration::from_secs(90);

/// A store that only remembers what it was told, and a disk that takes its time and can fail.
#[derive(Default)]
struct Fake {
    said: Mutex<Vec<String>>,
    fails: Mutex<Option<&'static str>>,
    gives_up: AtomicBool,
    disk_fails: AtomicBool,
    /// How long a statement takes.
    takes: Mutex<Duration>,
    /// As long as somebody has it, the disk does not answer.
    disk_hangs: Mutex<()>,
    syncs: AtomicUsize,
    in_transaction: AtomicBool,
}

struct FakeStore(Arc<Fake>);

impl Store for FakeStore {
    fn execute(&mut self, sql: &str, _: &[Arg<'_>]) -> Result<usize> {
        let word = sql.split(' ').next().unwrap();
        std::thread::sleep(*lock(&self.0.takes));
        if lock(&self.0.fails).is_some_and(|fails| sql.starts_with(fails)) {
            if self.0.gives_up.load(Ordering::SeqCst) {
                self.0.in_transaction.store(false, Ordering::SeqCst);
            }
            return Err(StoreError::new(StoreErrorKind::Full, format!("{word} failed")).into());
        }
        match sql {
            "BEGIN IMMEDIATE" => self.0.in_transaction.store(true, Ordering::SeqCst),
            "COMMIT" | "ROLLBACK" => self.0.in_transaction.store(false, Ordering::SeqCst),
            _ => {}
        }
        lock(&self.0.said).push(sql.to_owned());
        Ok(1)
    }

    fn query(&mut self, _: &str, _: &[Arg<'_>], _: EachRow<'_>) -> Result<()> {
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        self.0.in_transaction.load(Ordering::SeqCst)
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(FakeDisk(self.0.clone()))
    }

    fn log_bytes(&self) -> u64 {
        0
    }

    fn fold_log(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        lock(&self.0.said).push("closed".into());
        Ok(())
    }
}

struct FakeDisk(Arc<Fake>);

impl Disk for FakeDisk {
    fn sync(&self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(5));
        drop(lock(&self.0.disk_hangs));
        if self.0.disk_fails.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        lock(&self.0.said).push("synced".into());
        Ok(())
    }
}

/// A chore is a number of slices.
impl Companion for usize {
    fn changing(&mut self, _: bool) {}

    fn committed(&mut self) {}

    fn pending(&self) -> bool {
        *self > 0
    }

    fn slice(&mut self, store: &mut dyn Store) -> Result<()> {
        store.execute("slice", &[])?;
        *self -= 1;
        Ok(())
    }

    fn closing(&mut self) {
        *self += 1;
    }

    fn give_up(&mut self, _: &Error) {
        *self = 0;
    }
}

fn journal() -> (Arc<Fake>, Journal<usize>) {
    let fake = Arc::new(Fake::default());
    let journal = Journal::new(Box::new(FakeStore(fake.clone())), 0).unwrap();
    (fake, journal)
}

fn change(journal: &Journal<usize>, sql: &str) -> Result<usize> {
    journal.write(|store, _| store.execute(sql, &[]))
}

fn said(fake: &Fake) -> String {
    lock(&fake.said).join(", ")
}

#[test]
fn changes_of_one_moment_share_one_commit_and_one_sync() {
    let (fake, journal) = journal();
    change(&journal, "one").unwrap();
    change(&journal, "two").unwrap();
    journal.flush().unwrap();
    assert_eq!(
        said(&fake),
        "BEGIN IMMEDIATE, SAVEPOINT change, one, RELEASE change, SAVEPOINT change, two, RELEASE change, COMMIT, synced"
    );
    journal.flush().unwrap();
    assert_eq!(fake.syncs.load(Ordering::SeqCst), 1, "what is on the disk is not synced again");
}

#[test]
fn nobody_needs_to_ask() {
    let (fake, journal) = journal();
    let began = Instant::now();
    change(&journal, "one").unwrap();
    while fake.syncs.load(Ordering::SeqCst) == 0 {
        assert!(began.elapsed() < HANGS, "{}", said(&fake));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(began.elapsed() >= BATCH, "a batch gathers");
    assert!(said(&fake).ends_with("COMMIT, synced"));
}

#[test]
fn a_slow_disk_keeps_no_later_change_from_the_kernel() {
    let (fake, journal) = journal();
    let hanging = lock(&fake.disk_hangs);
    for commits in 1..4 {
        change(&journal, "one").unwrap();
        let began = Instant::now();
        while said(&fake).matches("COMMIT").count() < commits {
            assert!(began.elapsed() < HANGS, "{}", said(&fake));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(fake.syncs.load(Ordering::SeqCst), 0);
    drop(hanging);
    journal.flush().unwrap();
}

#[test]
fn who_changes_one_thing_after_the_other_leaves_none_of_it_behind() {
    let (fake, journal) = journal();
    *lock(&fake.takes) = Duration::from_millis(1);
    let commits = || said(&fake).matches("COMMIT").count();
    let (began, before) = (Instant::now(), commits());
    while began.elapsed() < OVERDUE {
        change(&journal, "one").unwrap();
    }
    // By now it was due for whoever comes first.
    change(&journal, "one").unwrap();
    assert!(commits() > before, "{:?}", began.elapsed());
}

#[test]
fn a_refused_change_leaves_its_neighbours() {
    let (fake, journal) = journal();
    change(&journal, "one").unwrap();
    journal.write(|store, _| store.execute("half", &[]).and(Err::<(), _>(Error::Errno(libc::EEXIST)))).unwrap_err();
    journal.flush().unwrap();
    assert!(
        said(&fake).contains("one, RELEASE change, SAVEPOINT change, half, ROLLBACK TO change, RELEASE change, COMMIT")
    );
}

#[test]
fn a_commit_that_fails_is_remembered() {
    let (fake, journal) = journal();
    change(&journal, "one").unwrap();
    *lock(&fake.fails) = Some("COMMIT");
    assert_eq!(journal.flush().unwrap_err().errno(), libc::ENOSPC);
    *lock(&fake.fails) = None;
    for error in [change(&journal, "two").unwrap_err(), journal.flush().unwrap_err(), journal.close().unwrap_err()] {
        assert!(matches!(error, Error::Lost { errno: libc::ENOSPC, .. }), "{error:?}");
    }
    assert!(!said(&fake).contains("two"));
    assert!(said(&fake).ends_with("closed"), "it is closed all the same");
}

#[test]
fn a_commit_that_fails_in_the_background_is_remembered() {
    let (fake, journal) = journal();
    *lock(&fake.fails) = Some("COMMIT");
    change(&journal, "one").unwrap();
    let began = Instant::now();
    while journal.waiting() > 0 {
        assert!(began.elapsed() < HANGS, "nobody tries");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(journal.flush().unwrap_err(), Error::Lost { .. }));
}

#[test]
fn a_sync_that_fails_is_not_tried_again() {
    let (fake, journal) = journal();
    change(&journal, "one").unwrap();
    fake.disk_fails.store(true, Ordering::SeqCst);
    assert_eq!(journal.flush().unwrap_err().errno(), libc::EIO);
    fake.disk_fails.store(false, Ordering::SeqCst);
    assert!(matches!(journal.flush().unwrap_err(), Error::Lost { errno: libc::EIO, .. }));
}

#[test]
fn a_store_that_gives_up_the_batch_loses_what_was_acknowledged() {
    let (fake, journal) = journal();
    *lock(&fake.fails) = Some("full");
    fake.gives_up.store(true, Ordering::SeqCst);
    assert_eq!(change(&journal, "full").unwrap_err().errno(), libc::ENOSPC);
    change(&journal, "one").expect("the only change of that batch was refused, so nothing was lost");
    assert_eq!(change(&journal, "full").unwrap_err().errno(), libc::ENOSPC);
    assert!(matches!(change(&journal, "two").unwrap_err(), Error::Lost { .. }));
}

#[test]
fn closing_finishes_the_chores_first() {
    let (fake, journal) = journal();
    journal.note(|chores| *chores = 3);
    journal.close().unwrap();
    assert_eq!(said(&fake).matches("slice").count(), 4, "one was put off until now");
    assert!(said(&fake).ends_with("COMMIT, closed") || said(&fake).ends_with("synced, closed"), "{}", said(&fake));
    journal.close().unwrap();
    change(&journal, "late").unwrap_err();
}

#[test]
fn threads_that_sync_together_share_syncs() {
    let (fake, journal) = journal();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    change(&journal, "one").unwrap();
                    journal.flush().unwrap();
                }
            });
        }
    });
    assert!(fake.syncs.load(Ordering::SeqCst) < 60, "{} syncs for 80 requests", fake.syncs.load(Ordering::SeqCst));
}

#[test]
fn what_belongs_together_is_committed_together_and_nobody_comes_in_between() {
    let (fake, journal) = journal();
    let (begun, is_alone) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let journal = &journal;
        let other = scope.spawn(move || {
            is_alone.recv().unwrap();
            change(journal, "other").unwrap();
        });
        journal
            .together(|| {
                change(journal, "one")?;
                begun.send(()).unwrap();
                // Longer than a batch lasts.
                std::thread::sleep(BATCH * 3);
                // A flush has to wait for the end, and a part of it is a part of the whole.
                journal.flush()?;
                journal.together(|| change(journal, "two").map(drop))
            })
            .unwrap();
        other.join().unwrap();
    });
    journal.flush().unwrap();
    let said = said(&fake);
    assert!(
        said.contains(
            "SAVEPOINT together, SAVEPOINT change, one, RELEASE change, SAVEPOINT change, two, RELEASE change, \
             RELEASE together"
        ),
        "{said}"
    );
    let place = |word: &str| said.find(word).unwrap();
    assert!(place("RELEASE together") < place("other") && place("RELEASE together") < place("COMMIT"), "{said}");
}

#[test]
fn what_fails_together_is_undone_with_the_memory_and_leaves_its_neighbours() {
    let (fake, journal) = journal();
    change(&journal, "before").unwrap();
    let failed = journal.together(|| {
        change(&journal, "one")?;
        journal.note(|chores| *chores = 7);
        Err::<(), _>(Error::Errno(libc::EXDEV))
    });
    assert_eq!(failed.unwrap_err().errno(), libc::EXDEV);
    journal.note(|chores| assert_eq!(*chores, 0));
    // What is committed meanwhile comes after it.
    let undone = "ROLLBACK TO together, RELEASE together";
    assert!(said(&fake).contains(&format!("RELEASE change, {undone}")), "{}", said(&fake));
    change(&journal, "after").unwrap();
    journal.flush().unwrap();
    assert!(said(&fake).rfind("COMMIT") > said(&fake).find("after"), "{}", said(&fake));
    // Also where it did not come to its end at all.
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        journal.together(|| -> Result<()> { panic!("for the test") })
    }));
    assert!(panicked.is_err() && said(&fake).matches(undone).count() == 2, "{}", said(&fake));
    change(&journal, "later").unwrap();
}

#[test]
fn a_store_that_gives_up_in_the_middle_leaves_no_part_and_loses_nothing() {
    let (fake, journal) = journal();
    *lock(&fake.fails) = Some("full");
    fake.gives_up.store(true, Ordering::SeqCst);
    let failed = journal.together(|| {
        change(&journal, "one")?;
        change(&journal, "full").unwrap_err();
        // The rest must not stand alone.
        assert_eq!(change(&journal, "rest").unwrap_err().errno(), libc::EIO);
        Ok(())
    });
    assert_eq!(failed.unwrap_err().errno(), libc::EIO);
    assert!(!said(&fake).contains("rest"));
    change(&journal, "two").expect("nobody was told that anything of it is done");
    journal.flush().unwrap();
}
