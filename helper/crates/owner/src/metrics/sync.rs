//! How an instance stands to its remote, as it is known at a scrape: nothing is asked there for it.

use std::fmt;
use std::sync::Arc;

use nixbox_control::SyncState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::database::gauge;
use crate::sync::Syncing;

pub(super) struct Synced(pub Arc<Syncing>);

impl Collector for Synced {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let SyncState { writable, fence, pending, lag, conflicts, success, .. } = self.0.state();
        let to = &mut encoder;
        if let Some(pending) = pending {
            gauge(to, "sync_pending_changes", "Changes that the remote may not have yet", None, pending as i64)?;
        }
        let help = "How old the oldest of them is; of what follows, the last look at the remote";
        gauge(to, "sync_lag", help, Some(Unit::Seconds), lag)?;
        if let Some(success) = success {
            let help = "When both sides were last brought together, since 1970";
            gauge(to, "sync_last_success_timestamp", help, Some(Unit::Seconds), success.at)?;
        }
        let help = "Whether the remote's lease is ours";
        gauge(to, "sync_lease_held", help, None, i64::from(fence.is_some()))?;
        gauge(to, "sync_writable", "Whether the instance may be changed", None, i64::from(writable))?;
        gauge(to, "sync_conflicts", "Things that both sides changed, at the last sync", None, conflicts as i64)?;
        let record = self.0.so_far();
        for (name, help, bytes) in [
            ("sync_received", "Content that came from the remote", record.bytes_in),
            ("sync_sent", "What was sent there", record.bytes_out),
        ] {
            let mut counter = to.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Counter)?;
            counter.encode_counter::<NoLabelSet, u64, u64>(&bytes, None)?;
        }
        let help = "Syncs that came to nothing, by the failure's code";
        let mut failures = to.encode_descriptor("sync_failures", help, None, MetricType::Counter)?;
        for (code, count) in &record.failures {
            let label = [("code", *code)];
            failures.encode_family(&label)?.encode_counter::<NoLabelSet, u64, u64>(count, None)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Synced")
    }
}
