//! What this owner counts, for `/metrics`. Counting is adding to a number; what has to be looked up is looked up when
//! somebody asks for it.

mod counted;
mod database;
mod sync;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use nixbox_control::Usage;
use nixbox_engine::{FileSystem, Gauges};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub(crate) use counted::Changes;
use counted::Operations;
use database::Measured;
use sync::Synced;

use crate::observed::Observed;
use crate::sync::Syncing;

type Label = (&'static str, String);

pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    operations: Arc<Operations>,
    gauges: OnceLock<Gauges>,
    tool_calls: Family<[Label; 1], Counter>,
    requests: Family<[Label; 1], Counter>,
    http_requests: Family<[Label; 2], Counter>,
    pub(crate) http_connections: Gauge,
    pub(crate) followers: Gauge,
}

impl Metrics {
    /// `instance` is on every line, so that those of several can be told apart.
    pub(crate) fn new(instance: &str) -> Arc<Self> {
        let labels = std::iter::once(("instance".into(), instance.to_owned().into()));
        let mut registry = Registry::with_prefix_and_labels("nixbox", labels);
        registry.register("build", "The program that serves", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let metrics = Self {
            operations: Arc::new(Operations::registered(&mut registry)),
            gauges: OnceLock::new(),
            tool_calls: Family::default(),
            requests: Family::default(),
            http_requests: Family::default(),
            http_connections: Gauge::default(),
            followers: Gauge::default(),
            registry: Mutex::default(),
        };
        let Self { tool_calls, requests, http_requests, http_connections, followers, .. } = &metrics;
        registry.register("tool_calls", "Calls put on record, by how they ended", tool_calls.clone());
        registry.register("requests", "Requests on the control socket, by kind", requests.clone());
        registry.register("http_requests", "Requests over HTTP, by route and status code", http_requests.clone());
        registry.register("http_connections", "HTTP connections that are open", http_connections.clone());
        registry.register("http_followers", "Listeners to /v1/events", followers.clone());
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        Arc::new(metrics)
    }

    /// The same tree, with everything that is asked of it counted.
    pub(crate) fn counting(&self, tree: Arc<dyn FileSystem>) -> Arc<dyn FileSystem> {
        Observed::by(self.operations.clone(), tree)
    }

    /// From here on the database is measured, too.
    pub(crate) fn measure(&self, gauges: Gauges) {
        let _ = self.gauges.set(gauges.clone());
        let measured = Box::new(Measured { gauges, since: Instant::now() });
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(measured);
    }

    /// And how it stands to its remote.
    pub(crate) fn measure_sync(&self, syncing: Arc<Syncing>) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(Synced(syncing)));
    }

    /// The numbers that people look at while it serves. May wait for the database's lock.
    pub(crate) fn usage(&self) -> Usage {
        let sizes = self.gauges.get().map(|gauges| (gauges.file_bytes(), gauges.load().log_bytes));
        let (database_bytes, log_bytes) = sizes.unwrap_or_default();
        Usage { database_bytes, log_bytes, ..self.operations.usage() }
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.operations.changes
    }

    pub(crate) fn tool_call(&self, outcome: &str) {
        self.tool_calls.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn request(&self, kind: &str) {
        self.requests.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// `route` is one of ours, never what a stranger asked for: every new label is kept for good.
    pub(crate) fn http_request(&self, route: &'static str, code: u16) {
        self.http_requests.get_or_create(&[("route", route.to_owned()), ("code", code.to_string())]).inc();
    }

    /// May wait for the database's lock.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}
