//! Commands that somebody wants to be run when something has happened: one after another, on a thread of their own, each
//! with a JSON object on its standard input. Whatever they do, whoever fires goes on. What fails is put on record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::command::{self, NotRan};
use crate::log::Log;
use crate::unit::LogFile;

/// For one command.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many events wait for those before them.
const WAITING: usize = 64;
/// What is kept of those that failed, and of those before them.
const RECORD: u64 = 256 * 1024;

/// A command that failed, did not end in time, or was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    pub event: String,
    /// Empty where none came so far.
    pub command: Vec<String>,
    pub why: String,
}

type Told = Box<dyn Fn(&HookFailure) + Send + Sync>;

#[derive(Clone)]
pub struct Hooks(Option<Arc<Inner>>);

struct Inner {
    /// What they belong to.
    name: String,
    commands: BTreeMap<String, Vec<Vec<String>>>,
    folder: PathBuf,
    record: LogFile,
    told: Told,
    at_work: Mutex<Option<AtWork>>,
}

struct AtWork {
    sender: SyncSender<Job>,
    thread: JoinHandle<()>,
    called_off: Arc<AtomicBool>,
}

struct Job {
    event: String,
    heard: Vec<u8>,
}

impl Hooks {
    /// `commands`: of each event. They run in `folder`; what fails is a line in `record`, and `told` hears of it.
    pub fn new(
        name: &str,
        commands: BTreeMap<String, Vec<Vec<String>>>,
        folder: PathBuf,
        record: PathBuf,
        told: impl Fn(&HookFailure) + Send + Sync + 'static,
    ) -> Self {
        if commands.values().all(Vec::is_empty) {
            return Self(None);
        }
        let record = LogFile { path: record, max_size: RECORD, keep: 1 };
        let (name, told) = (name.to_owned(), Box::new(told));
        Self(Some(Arc::new(Inner { name, commands, folder, record, told, at_work: Mutex::default() })))
    }

    /// Returns at once. `what`: an object; the event and the name are put into it.
    pub fn fire(&self, event: &str, what: Value) {
        let Some(inner) = &self.0 else { return };
        if inner.commands.get(event).is_none_or(Vec::is_empty) {
            return;
        }
        let mut told = Map::new();
        told.insert("schema".into(), 1.into());
        told.insert("event".into(), event.into());
        told.insert("instance".into(), inner.name.as_str().into());
        if let Value::Object(what) = what {
            told.extend(what);
        }
        let job = Job { event: event.to_owned(), heard: (Value::Object(told).to_string() + "\n").into_bytes() };
        let mut at_work = inner.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.is_none() {
            match AtWork::begin(inner) {
                Ok(begun) => *at_work = Some(begun),
                Err(error) => return inner.failed(event, &[], error.to_string()),
            }
        }
        if let Some(AtWork { sender, .. }) = &*at_work
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(job)
        {
            inner.failed(event, &[], "too many wait to be run".into());
        }
    }

    /// Waits until all were run, and kills what is still at work then. What is fired after that is run all the same.
    pub fn finish(&self, patience: Duration) {
        let Some(inner) = &self.0 else { return };
        let at_work = inner.at_work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(AtWork { sender, thread, called_off }) = at_work else { return };
        drop(sender);
        let until = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        called_off.store(true, Ordering::Relaxed);
        let _ = thread.join();
    }
}

impl AtWork {
    fn begin(inner: &Arc<Inner>) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(WAITING);
        let called_off = Arc::<AtomicBool>::default();
        let (theirs, off) = (inner.clone(), called_off.clone());
        let thread = std::thread::Builder::new().name("hooks".into()).spawn(move || theirs.work(&jobs, &off))?;
        Ok(Self { sender, thread, called_off })
    }
}

impl Inner {
    fn work(&self, jobs: &Receiver<Job>, called_off: &AtomicBool) {
        let is_called_off = || called_off.load(Ordering::Relaxed);
        for Job { event, heard } in jobs {
            for words in self.commands.get(&event).into_iter().flatten() {
                if is_called_off() {
                    self.failed(&event, words, "there was no time left to run it".into());
                    continue;
                }
                let why = match command::run(words, &self.folder, heard.clone(), DEADLINE, &is_called_off) {
                    Ok(ran) if ran.status.success() => continue,
                    Ok(ran) => format!("{}{}", ran.status, command::last_line(&ran.complaint)),
                    Err(NotRan::Failed(error)) => error.to_string(),
                    Err(NotRan::Silent) if is_called_off() => "there was no time left for it, and it was killed".into(),
                    Err(NotRan::Silent) => format!("it did not end within {} s, and was killed", DEADLINE.as_secs()),
                };
                self.failed(&event, words, why);
            }
        }
    }

    fn failed(&self, event: &str, command: &[String], why: String) {
        let failure = HookFailure { event: event.to_owned(), command: command.to_vec(), why };
        (self.told)(&failure);
        // Whoever cannot write that down has said it.
        if let (Ok(mut log), Ok(line)) = (Log::open(self.record.clone()), serde_json::to_string(&failure)) {
            let _ = log.write(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const HANGS: Duration = Duration::from_secs(90);

    struct Scene {
        hooks: Hooks,
        dir: tempfile::TempDir,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Scene {
        fn new(scripts: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let told = Arc::<Mutex<Vec<String>>>::default();
            let theirs = told.clone();
            let commands = scripts.iter().map(|script| ["sh", "-c", script].map(str::to_owned).to_vec()).collect();
            let commands = [("sync".to_owned(), commands)].into();
            let (folder, record) = (dir.path().to_owned(), dir.path().join("hooks.log"));
            let hooks = Hooks::new("a", commands, folder, record, move |failure| {
                theirs.lock().unwrap().push(format!("{}: {}", failure.event, failure.why));
            });
            Self { hooks, dir, told }
        }

        fn told(&self) -> Vec<String> {
            self.told.lock().unwrap().clone()
        }

        fn on_record(&self) -> Vec<HookFailure> {
            let text = std::fs::read_to_string(self.dir.path().join("hooks.log")).unwrap_or_default();
            text.lines().map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap()).collect()
        }
    }

    #[test]
    fn each_hears_what_happened_in_order_and_one_that_fails_keeps_nobody() {
        let scene = Scene::new(&["echo no >&2; exit 3", "cat >> heard"]);
        for number in 0..3 {
            scene.hooks.fire("sync", json!({ "number": number }));
        }
        scene.hooks.fire("conflict", json!({}));
        scene.hooks.finish(HANGS);
        let heard = std::fs::read_to_string(scene.dir.path().join("heard")).unwrap();
        let heard: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(heard[2], json!({ "schema": 1, "event": "sync", "instance": "a", "number": 2 }));
        assert_eq!(heard.len(), 3);
        assert_eq!(scene.told(), ["sync: exit status: 3: no"; 3]);
        let on_record = scene.on_record();
        assert_eq!((on_record.len(), on_record[0].command[2].as_str()), (3, "echo no >&2; exit 3"));
        // There may be another end after the end.
        scene.hooks.fire("sync", json!({ "number": 3 }));
        scene.hooks.finish(HANGS);
        assert_eq!(std::fs::read_to_string(scene.dir.path().join("heard")).unwrap().lines().count(), 4);
    }

    #[test]
    fn one_that_hangs_holds_up_nobody_and_is_killed_in_the_end() {
        let scene = Scene::new(&["sleep 1000"]);
        for _ in 0..WAITING + 3 {
            scene.hooks.fire("sync", json!({}));
        }
        assert!(scene.told().iter().any(|why| why == "sync: too many wait to be run"));
        scene.hooks.finish(Duration::from_millis(100));
        assert!(scene.told().iter().any(|why| why == "sync: there was no time left for it, and it was killed"));
    }

    #[test]
    fn one_that_floods_its_output_costs_no_memory_and_one_that_is_not_there_is_told() {
        let scene = Scene::new(&["head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2; echo done > done"]);
        scene.hooks.fire("sync", json!({}));
        scene.hooks.finish(HANGS);
        assert!(scene.dir.path().join("done").exists());
        assert!(scene.told().is_empty());

        let (dir, commands) = (scene.dir.path(), [("sync".to_owned(), vec![vec!["/no/such".to_owned()]])].into());
        let hooks = Hooks::new("a", commands, dir.to_owned(), dir.join("hooks.log"), |_| {});
        hooks.fire("sync", json!({}));
        hooks.finish(HANGS);
        assert!(scene.on_record()[0].why.contains("No such file"), "{:?}", scene.on_record());
    }
}
