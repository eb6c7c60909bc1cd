//! Commands that somebody wants to be run when something has happened: one after another, on a thread of their own, each
//! with a JSON object on its standard input. Whatever they do, the owner goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nixbox_config::HookEvent;
use serde_json::{Map, Value};

use crate::command::{self, NotRan};
use crate::plan::Plan;

/// For one command.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many events wait for those before them.
const WAITING: usize = 64;

/// Where it is put on record that one has failed: of which event, which command, and why.
pub(crate) type OnFailure = Arc<dyn Fn(HookEvent, &[String], &str) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Hooks(Option<Arc<Inner>>);

struct Inner {
    instance: String,
    commands: BTreeMap<HookEvent, Vec<Vec<String>>>,
    folder: PathBuf,
    on_failure: OnFailure,
    called_off: Arc<AtomicBool>,
    at_work: Mutex<Option<(SyncSender<Job>, JoinHandle<()>)>>,
}

struct Job {
    event: HookEvent,
    told: Vec<u8>,
}

impl Hooks {
    pub(crate) fn of(plan: &Plan, on_failure: OnFailure) -> Self {
        let commands = plan.instance.hooks.clone();
        Self::new(&plan.instance.name, commands, plan.root.clone(), on_failure)
    }

    fn new(
        instance: &str,
        commands: BTreeMap<HookEvent, Vec<Vec<String>>>,
        folder: PathBuf,
        on_failure: OnFailure,
    ) -> Self {
        if commands.values().all(Vec::is_empty) {
            return Self(None);
        }
        let called_off = Arc::default();
        let inner = Inner {
            instance: instance.to_owned(),
            commands,
            folder,
            on_failure,
            called_off,
            at_work: Mutex::default(),
        };
        Self(Some(Arc::new(inner)))
    }

    /// Returns at once. `what`: an object; the event and the instance are put into it.
    pub(crate) fn fire(&self, event: HookEvent, what: Value) {
        let Some(inner) = &self.0 else { return };
        if inner.commands.get(&event).is_none_or(Vec::is_empty) {
            return;
        }
        let mut told = Map::new();
        told.insert("schema".into(), 1.into());
        told.insert("event".into(), event.as_str().into());
        told.insert("instance".into(), inner.instance.as_str().into());
        if let Value::Object(what) = what {
            told.extend(what);
        }
        let job = Job { event, told: (Value::Object(told).to_string() + "\n").into_bytes() };
        let mut at_work = inner.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.is_none() {
            let (sender, jobs) = sync_channel(WAITING);
            let theirs = inner.clone();
            match std::thread::Builder::new().name("hooks".into()).spawn(move || theirs.work(&jobs)) {
                Ok(thread) => *at_work = Some((sender, thread)),
                Err(error) => return (inner.on_failure)(event, &[], &error.to_string()),
            }
        }
        if let Some((sender, _)) = &*at_work
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(job)
        {
            (inner.on_failure)(event, &[], "too many wait to be run");
        }
    }

    /// Waits until all were run, and kills what is still at work then.
    pub(crate) fn finish(&self, patience: Duration) {
        let Some(inner) = &self.0 else { return };
        let at_work = inner.at_work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((sender, thread)) = at_work else { return };
        drop(sender);
        let until = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        inner.called_off.store(true, Ordering::Relaxed);
        let _ = thread.join();
    }
}

impl Inner {
    fn work(&self, jobs: &Receiver<Job>) {
        for Job { event, told } in jobs {
            for words in self.commands.get(&event).into_iter().flatten() {
                let is_called_off = || self.called_off.load(Ordering::Relaxed);
                if is_called_off() {
                    (self.on_failure)(event, words, "the owner ended before it was run");
                    continue;
                }
                let why = match command::run(words, &self.folder, told.clone(), DEADLINE, &is_called_off) {
                    Ok(ran) if ran.status.success() => continue,
                    Ok(ran) => format!("{}{}", ran.status, command::last_line(&ran.complaint)),
                    Err(NotRan::Failed(error)) => error.to_string(),
                    Err(NotRan::Silent) if is_called_off() => "the owner ended before it did".to_owned(),
                    Err(NotRan::Silent) => format!("it did not end within {} s", DEADLINE.as_secs()),
                };
                (self.on_failure)(event, words, &why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn hooks(scripts: &[&str]) -> (Hooks, tempfile::TempDir, Arc<Mutex<Vec<String>>>) {
        let dir = tempfile::tempdir().unwrap();
        let failed: Arc<Mutex<Vec<String>>> = Arc::default();
        let theirs = failed.clone();
        let commands = scripts.iter().map(|script| ["sh", "-c", script].map(str::to_owned).to_vec()).collect();
        let hooks = Hooks::new(
            "a",
            [(HookEvent::Sync, commands)].into(),
            dir.path().to_owned(),
            Arc::new(move |event, _, why| theirs.lock().unwrap().push(format!("{event}: {why}"))),
        );
        (hooks, dir, failed)
    }

    #[test]
    fn each_hears_what_happened_in_order_and_one_that_fails_keeps_nobody() {
        let (hooks, dir, failed) = hooks(&["echo no >&2; exit 3", "cat >> heard"]);
        for number in 0..3 {
            hooks.fire(HookEvent::Sync, json!({ "number": number }));
        }
        hooks.fire(HookEvent::Conflict, json!({}));
        hooks.finish(Duration::from_secs(20));
        let heard = std::fs::read_to_string(dir.path().join("heard")).unwrap();
        let heard: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(heard[2], json!({ "schema": 1, "event": "sync", "instance": "a", "number": 2 }));
        assert_eq!(heard.len(), 3);
        let failed = failed.lock().unwrap();
        assert_eq!(*failed, ["sync: exit status: 3: no"; 3]);
    }

    #[test]
    fn one_that_hangs_holds_up_nobody_and_is_killed_in_the_end() {
        let (hooks, _dir, failed) = hooks(&["sleep 1000"]);
        let began = Instant::now();
        for _ in 0..WAITING + 3 {
            hooks.fire(HookEvent::Sync, json!({}));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(failed.lock().unwrap().iter().any(|why| why == "sync: too many wait to be run"));
        hooks.finish(Duration::from_millis(100));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(failed.lock().unwrap().iter().any(|why| why == "sync: the owner ended before it did"));
    }
}
