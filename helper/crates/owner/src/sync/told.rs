//! What a sync has found and done, in the words of the control socket.

use nixbox_control::{SyncChange, SyncContent, SyncDone, SyncLease, SyncLine, SyncLook};
use nixbox_sync::{Conflict, Difference, Done, Look, State, What};

/// `absent`: files that are not whole, and bytes of them. `holder`: who we are.
pub(super) fn state(state: State, (files, bytes): (u64, u64), holder: &str) -> Vec<SyncLine> {
    let State { to_push, to_pull, conflicts, lease, .. } = state;
    let lease = lease.map(|standing| {
        SyncLine::Lease(SyncLease {
            ours: standing.holder == holder,
            since: standing.since,
            left: standing.left.map(|left| left.as_secs_f64()),
            fence: standing.fence,
            who: standing.who,
            host: standing.host,
        })
    });
    let change = |Difference { key, before, after }: Difference| SyncChange {
        name: key.to_string(),
        before: before.as_ref().map(look),
        after: after.as_ref().map(look),
    };
    let push = to_push.into_iter().map(change).map(SyncLine::ToPush);
    let pull = to_pull.into_iter().map(change).map(SyncLine::ToPull);
    let conflicts = conflicts.iter().map(conflict);
    let absent = (files > 0).then_some(SyncLine::Absent(SyncContent { files, bytes }));
    lease.into_iter().chain(absent).chain(push).chain(pull).chain(conflicts).collect()
}

pub(super) fn conflict(conflict: &Conflict) -> SyncLine {
    SyncLine::Conflict(SyncChange {
        name: conflict.key.to_string(),
        before: conflict.ours.as_ref().map(look),
        after: conflict.theirs.as_ref().map(look),
    })
}

pub(super) fn done(done: Done, snapshot: Option<String>) -> SyncLine {
    SyncLine::Done(SyncDone {
        snapshot,
        pulled: done.pulled as u64,
        pushed: done.pushed as u64,
        bytes_in: done.bytes_in,
        bytes_out: done.bytes_out,
    })
}

fn look(look: &Look) -> SyncLook {
    let (kind, size) = match &look.what {
        What::Folder | What::Opaque => ("folder", None),
        What::Gone => ("gone", None),
        What::Touched { .. } => ("attributes", None),
        What::File { size, .. } => ("file", Some(*size)),
        What::Link { .. } => ("link", None),
        What::Fifo => ("fifo", None),
        What::Socket => ("socket", None),
        What::CharDevice { .. } | What::BlockDevice { .. } => ("device", None),
        What::Same { .. } => ("name", None),
        What::Value { .. } => ("value", None),
    };
    let timed = matches!(look.what, What::File { .. } | What::Link { .. } | What::Fifo | What::Socket)
        || matches!(look.what, What::CharDevice { .. } | What::BlockDevice { .. });
    let (mode, mtime) = match look.what {
        What::Touched { perm, mtime, .. } => (perm.unwrap_or_default(), mtime),
        _ => (look.perm, timed.then_some(look.mtime)),
    };
    let of_base = look.over.is_some() || matches!(look.what, What::Gone | What::Touched { .. });
    SyncLook { kind: kind.into(), mode, size, mtime: mtime.map(|(seconds, _)| seconds), of_base }
}
