//! How an instance stands to its remote, and with that who may change it here.

use std::sync::Arc;
use std::time::Duration;

use nixbox_remote::Standing;
use nixbox_report::{Failure, codes};

use super::hold::Hold;
use super::record::Record;
use super::{Duty, Syncing};

pub(super) enum Place {
    /// Nobody asked for the lease; everybody may write here, and each push takes it for its time.
    Free,
    /// The lease is ours. `pulled`: what the remote has is here, so that it may be written on.
    Holder {
        hold: Arc<Hold>,
        pulled: bool,
    },
    /// The remote does not answer, and this machine was the last that wrote there: it goes on writing.
    Adrift,
    Reader(Why),
}

/// Why nothing may be written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    Starting,
    Follows,
    /// By an owner for a single request.
    Unserved,
    /// The remote does not answer, and somebody else may have written there since.
    Unreached,
    /// The lease went to somebody else.
    Lost(String),
    Released,
}

impl Place {
    pub(super) fn hold(&self) -> Option<Arc<Hold>> {
        match self {
            Self::Holder { hold, .. } => Some(hold.clone()),
            _ => None,
        }
    }
}

impl Syncing {
    pub(super) fn stand(&self, place: Place) {
        let mut now = self.place();
        self.set_gate(&place);
        let before = std::mem::replace(&mut *now, place);
        drop(now);
        // Whose heart may be the one that beats here.
        drop(before);
        self.tell();
    }

    fn set_gate(&self, place: &Place) {
        match place {
            _ if self.sealed => self.gate.shut(),
            Place::Free | Place::Adrift => self.gate.open(),
            Place::Holder { hold, pulled: true } => self.gate.open_for(hold.left()),
            Place::Holder { pulled: false, .. } | Place::Reader(_) => self.gate.shut(),
        }
    }

    /// What the remote has is here: it may be written on.
    pub(super) fn has_pulled(&self) {
        let mut place = self.place();
        if let Place::Holder { pulled: pulled @ false, .. } = &mut *place {
            *pulled = true;
            self.set_gate(&place);
            drop(place);
            self.tell();
        }
    }

    pub(super) fn is_renewed(&self, left: Duration) {
        if let (Place::Holder { pulled: true, .. }, false) = (&*self.place(), self.sealed) {
            self.gate.open_for(left);
        }
    }

    pub(super) fn is_cut_off(&self) {
        // What is written from here on may meet what somebody else has written by then; that is merged, or told.
        if let (Place::Holder { pulled: true, .. }, false, true) = (&*self.place(), self.sealed, self.may_be_offline())
        {
            self.gate.open();
        }
    }

    /// At once, but for what programs have written through a mapping: that is in the tree first.
    pub(super) fn has_lost(&self, standing: Option<&Standing>) {
        if self.hold().is_none() {
            return;
        }
        if let Some(witness) = self.witness.get().filter(|_| self.gate.is_open()) {
            witness.settle(None);
        }
        let who = standing.map_or_else(|| "gone".to_owned(), ToString::to_string);
        self.forget_that_we_were_last();
        self.set_duty(Duty::Follow);
        self.stand(Place::Reader(Why::Lost(who.clone())));
        tracing::warn!(
            remote = self.name,
            lease = who,
            "the lease is lost: read-only from here on; what is here is kept, `nixbox-helper sync take` goes on"
        );
        self.bell.notify_one();
    }

    /// Why a change was refused, and what to do; none where it may be made.
    pub(crate) fn read_only(&self) -> Option<Failure> {
        if self.gate.is_open() || self.sealed {
            return None;
        }
        let (instance, name) = (&self.instance, &self.name);
        let (why, help) = match &*self.place() {
            Place::Free | Place::Adrift => return None,
            Place::Holder { pulled: false, .. } => (
                format!("what `{name}` has is not here yet"),
                "`nixbox-helper sync status` says what stands in the way; conflicts are settled with `sync resolve`"
                    .into(),
            ),
            Place::Holder { .. } => (
                format!("its lease has run out, and `{name}` does not answer"),
                "it goes on by itself when that answers; `sync.offline = \"allow\"` goes on without".into(),
            ),
            Place::Reader(why) => match why {
                Why::Starting => ("its owner is starting".to_owned(), "try again in a moment".to_owned()),
                Why::Follows => (
                    format!("it follows `{name}`: what others write comes here"),
                    "`nixbox-helper sync take` makes it the one that writes".into(),
                ),
                Why::Unserved => (
                    format!("who writes to `{name}` has its lease all the while, and nobody serves the instance"),
                    format!("start it with `nixbox-helper up {instance}`"),
                ),
                Why::Unreached => (
                    format!("`{name}` does not answer, and this is not who wrote there last"),
                    "it goes on by itself when that answers".into(),
                ),
                Why::Lost(who) => (
                    format!("the lease of `{name}` is {who}"),
                    "what is here is kept; `nixbox-helper sync take` goes on when it is free, `--force` takes it away"
                        .into(),
                ),
                Why::Released => (
                    format!("the lease of `{name}` was given back"),
                    "`nixbox-helper sync take` goes on writing".into(),
                ),
            },
        };
        Some(Failure::new(&codes::SYNC_READ_ONLY, format!("`{instance}` is read-only now")).why(why).help(help))
    }

    /// Changes that the remote may not have yet. None where that was never looked at, and nothing was changed since the
    /// start.
    pub(crate) fn pending(&self) -> Option<u64> {
        let Record { left, made, .. } = *self.so_far();
        let since = self.gate.made().saturating_sub(made);
        left.map(|left| left + since).or((since > 0).then_some(since))
    }
}
