//! What is counted of a served remote, and the alarm about its log. The log keeps every change, and is all that upstream's
//! clients know the past by, so nothing folds it in.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nixbox_config::{Served, Size};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::server::{Server, State};

type Label = (&'static str, String);

pub(super) struct Numbers {
    remote: String,
    registry: Mutex<Registry>,
    requests: Family<[Label; 2], Counter>,
    refused: Counter,
    pub(super) connections: Gauge,
    up: Gauge,
    restarts: Gauge,
    database_bytes: Gauge,
    log_bytes: Gauge,
    log_alarm: Gauge,
    database: PathBuf,
    log: PathBuf,
    alarm: Size,
    /// How large the log was when it was last told of.
    told: AtomicU64,
}

impl Numbers {
    pub(super) fn new(remote: &str, served: &Served) -> Self {
        let labels = std::iter::once(("remote".into(), remote.to_owned().into()));
        let numbers = Self {
            remote: remote.to_owned(),
            registry: Mutex::new(Registry::with_prefix_and_labels("nixbox_remote", labels)),
            requests: Family::default(),
            refused: Counter::default(),
            connections: Gauge::default(),
            up: Gauge::default(),
            restarts: Gauge::default(),
            database_bytes: Gauge::default(),
            log_bytes: Gauge::default(),
            log_alarm: Gauge::default(),
            database: served.paths.db.clone(),
            log: served.paths.wal.clone(),
            alarm: served.wal_alarm,
            told: AtomicU64::new(0),
        };
        {
            let mut registry = numbers.registry.lock().unwrap_or_else(PoisonError::into_inner);
            registry.register("requests", "Requests over HTTP, by route and status code", numbers.requests.clone());
            registry.register(
                "statements_refused",
                "Statements that reach beyond the database",
                numbers.refused.clone(),
            );
            registry.register("connections", "HTTP connections that are open", numbers.connections.clone());
            registry.register("up", "Whether tursodb answers", numbers.up.clone());
            registry.register("restarts", "How often tursodb was started again", numbers.restarts.clone());
            registry.register("database_size_bytes", "The database file", numbers.database_bytes.clone());
            registry.register(
                "log_size_bytes",
                "The database's log, which keeps every change",
                numbers.log_bytes.clone(),
            );
            registry.register("log_alarm", "Whether the log is larger than wal_alarm", numbers.log_alarm.clone());
        }
        numbers
    }

    pub(super) fn request(&self, route: &'static str, code: u16) {
        self.requests.get_or_create(&[("route", route.to_owned()), ("code", code.to_string())]).inc();
    }

    pub(super) fn statement_refused(&self) {
        self.refused.inc();
    }

    /// Told once, and again when it has doubled.
    pub(super) fn look_at_the_log(&self) {
        let bytes = size(&self.log);
        let told = self.told.load(Ordering::Relaxed);
        if bytes <= self.alarm.0 || bytes < told.saturating_mul(2) {
            return;
        }
        self.told.store(bytes, Ordering::Relaxed);
        tracing::warn!(
            remote = self.remote,
            log_bytes = bytes,
            wal_alarm = %self.alarm,
            "the log of the remote is large, and each pull of upstream's clients goes through all of it"
        );
    }

    pub(super) fn text(&self, server: &Server) -> String {
        let log = size(&self.log);
        self.up.set(i64::from(matches!(*server.state().borrow(), State::Up(_))));
        self.restarts.set(server.restarts() as i64);
        self.database_bytes.set(size(&self.database) as i64);
        self.log_bytes.set(log as i64);
        self.log_alarm.set(i64::from(log > self.alarm.0));
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}

fn size(path: &std::path::Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}
