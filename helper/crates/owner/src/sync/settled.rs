//! How conflicts were settled. A settlement holds for both sides as they were then: when either changes once more, it is
//! asked about again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nixbox_control::SyncSide;
use nixbox_report::Report;
use nixbox_sync::{Conflict, Look, Settled};
use serde::{Deserialize, Serialize};

use crate::failure;

const FILE: &str = "settled.json";

pub(super) struct Settlements {
    path: PathBuf,
    all: BTreeMap<String, Settlement>,
}

#[derive(Serialize, Deserialize)]
struct Settlement {
    ours: Option<Look>,
    theirs: Option<Look>,
    #[serde(default)]
    below: Option<String>,
    take: Settled,
}

impl Settlements {
    pub(super) fn of(folder: &Path) -> Result<Self, Report> {
        let path = folder.join(FILE);
        let all = match std::fs::read(&path) {
            // What cannot be read settles nothing: it is asked again.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failure::io(&path, &error).into()),
        };
        Ok(Self { path, all })
    }

    pub(super) fn of_conflict(&self, conflict: &Conflict) -> Option<Settled> {
        let settlement = self.all.get(&conflict.key.to_string())?;
        let Settlement { ours, theirs, below, take } = settlement;
        ((ours, theirs, below) == (&conflict.ours, &conflict.theirs, &conflict.below)).then_some(*take)
    }

    pub(super) fn settle(&mut self, conflicts: &[Conflict], take: SyncSide) -> Result<(), Report> {
        let take = match take {
            SyncSide::Ours => Settled::Ours,
            SyncSide::Theirs => Settled::Theirs,
            SyncSide::Both => Settled::Both,
        };
        for Conflict { key, ours, theirs, below } in conflicts.iter().cloned() {
            self.all.insert(key.to_string(), Settlement { ours, theirs, below, take });
        }
        let text = serde_json::to_vec(&self.all).map_err(std::io::Error::from)?;
        nixbox_state::write_atomic(&self.path, &text, 0o600).map_err(|error| failure::io(&self.path, &error).into())
    }
}
