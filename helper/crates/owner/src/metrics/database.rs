//! The open database, measured at a scrape: two sizes, a few numbers under its lock, and what it has counted itself.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nixbox_engine::{Gauges, Latency};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

pub(super) struct Measured {
    pub gauges: Gauges,
    pub since: Instant,
}

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (load, meters) = (self.gauges.load(), self.gauges.meters());
        let to = &mut encoder;
        gauge(to, "uptime", "Since the database was opened", Some(Unit::Seconds), self.since.elapsed().as_secs_f64())?;
        gauge(to, "database_size", "Of the database file", Some(Unit::Bytes), self.gauges.file_bytes() as f64)?;
        let help = "Of its log, which is not yet in the database file";
        gauge(to, "log_size", help, Some(Unit::Bytes), load.log_bytes as f64)?;
        gauge(to, "inodes", "Inodes that somebody refers to", None, load.inodes as f64)?;
        let help = "Changes that are acknowledged and not yet committed";
        gauge(to, "changes_waiting", help, None, load.waiting as f64)?;
        let changes = to.encode_descriptor("changes", "Changes that were committed", None, MetricType::Counter)?;
        let mut changes = changes;
        changes.encode_counter::<NoLabelSet, u64, u64>(&meters.changes.load(Ordering::Relaxed), None)?;
        histogram(to, "commit", "What it took to commit a batch of changes", &meters.commits)?;
        histogram(to, "sync", "What it took to get them onto the disk", &meters.syncs)
    }
}

pub(super) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
}

fn histogram(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, latency: &Latency) -> fmt::Result {
    let counts = latency.counts();
    let bounds = Latency::BOUNDS.into_iter().chain([f64::MAX]);
    let buckets: Vec<_> = bounds.zip(counts).collect();
    let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(latency.seconds(), counts.iter().sum(), &buckets, None)
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured")
    }
}
