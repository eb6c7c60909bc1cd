//! What this owner says of itself: to subscribers at once, and in the record file for those who must not wait.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use nixbox_control::Status;
use nixbox_state::{clear_begun, publish_json};
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub(crate) struct Board {
    status: Arc<watch::Sender<Status>>,
    record: PathBuf,
}

impl Board {
    pub(crate) fn put_up(status: Status, record: PathBuf) -> io::Result<Self> {
        clear_begun(&record);
        publish_json(&record, &status, 0o600)?;
        Ok(Self { status: Arc::new(watch::Sender::new(status)), record })
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            change(status);
            // The record first: who is woken by the event may look into it.
            if let Err(error) = publish_json(&self.record, status, 0o600) {
                tracing::warn!(%error, record = %self.record.display(), "the record file could not be written");
            }
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(crate) fn take_down(&self) {
        let _ = fs::remove_file(&self.record);
    }
}
