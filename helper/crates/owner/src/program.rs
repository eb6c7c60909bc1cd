//! Another program that this one looks after: its words, and its end.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nixbox_supervisor::{Ended, Event, Handle, Spec, Supervisor};

pub(crate) struct Program {
    handle: Handle,
    end: Arc<End>,
}

#[derive(Default)]
struct End {
    ended: Mutex<Option<Ended>>,
    told: Condvar,
}

impl End {
    fn ended(&self) -> MutexGuard<'_, Option<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// `said` gets each line of its output. `on_end` is called once, however it ends. It ends with this process at the
    /// latest, and gets no signal that a terminal sends: upstream's would leave its mount behind.
    pub(crate) fn start(
        spec: Spec,
        said: impl Fn(&str) + Send + 'static,
        on_end: impl FnOnce(Ended) + Send + 'static,
    ) -> io::Result<Self> {
        let end = Arc::new(End::default());
        let (tell, started) = mpsc::channel();
        let its_end = end.clone();
        // The thread that starts it stays: to the kernel, the program's parent ends with it.
        thread::Builder::new().name("program".into()).spawn(move || {
            let ended = watch(spec, said, |handle| tell.send(handle).unwrap_or(()));
            if let Some(ended) = ended {
                *its_end.ended() = Some(ended.clone());
                its_end.told.notify_all();
                on_end(ended);
            }
        })?;
        let handle = started.recv().map_err(|_| io::Error::other("it could not be watched"))??;
        Ok(Self { handle, end })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.ended().is_some()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.end.ended().clone()
    }

    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let ended = self.end.ended();
        let waited = self.end.told.wait_timeout_while(ended, time, |ended| ended.is_none());
        waited.map_or_else(|poisoned| poisoned.into_inner().0.is_some(), |(ended, _)| ended.is_some())
    }

    /// Its NFS server listens to no other signal.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        if let Err(error) = self.handle.signal(signal) {
            tracing::warn!(%error, "the program could not be signalled");
        }
    }
}

/// `None` where it did not start, which is told with the handle's place.
fn watch(spec: Spec, said: impl Fn(&str), started: impl FnOnce(io::Result<Handle>)) -> Option<Ended> {
    let mut supervisor = match Supervisor::new(&[]) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            started(Err(error));
            return None;
        }
    };
    let handle = supervisor.start(spec).and_then(|id| {
        let process = supervisor.child(id).and_then(|child| child.process());
        let handle = process.map(Handle::of).transpose()?.flatten();
        handle.ok_or_else(|| io::Error::other("it ended at once"))
    });
    let is_started = handle.is_ok();
    started(handle);
    loop {
        match supervisor.next(None) {
            Ok(Event::Output { text, .. }) => text.lines().for_each(&said),
            Ok(Event::Ended { ended, .. }) => return is_started.then_some(ended),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "the program is no longer watched");
                return None;
            }
        }
        if !is_started && supervisor.running() == 0 {
            return None;
        }
    }
}
