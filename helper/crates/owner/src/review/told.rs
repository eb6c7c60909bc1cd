//! Changes in the words of the control socket.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use nixbox_control as control;
use nixbox_engine as engine;

use crate::surfaces::control::file_kind;

pub(super) fn change(change: engine::Change) -> control::Change {
    let engine::Change { path, kind, from, before, after, diverged, .. } = change;
    let (kind, content, mode) = match kind {
        engine::ChangeKind::Added => (control::ChangeKind::Added, false, false),
        engine::ChangeKind::Deleted => (control::ChangeKind::Deleted, false, false),
        engine::ChangeKind::TypeChanged => (control::ChangeKind::TypeChanged, true, false),
        engine::ChangeKind::Modified { content, mode } => (control::ChangeKind::Modified, content, mode),
        engine::ChangeKind::Renamed { mode } => (control::ChangeKind::Renamed, false, mode),
    };
    control::Change {
        path: path.into_os_string().into(),
        kind,
        from: from.map(|from| from.into_os_string().into()),
        content,
        mode,
        diverged,
        before: before.map(side),
        after: after.map(side),
    }
}

fn side(side: engine::Side) -> control::Side {
    let engine::Side { kind, perm, uid, gid, size } = side;
    control::Side { kind: file_kind(kind), mode: perm, uid, gid, size }
}

pub(super) fn difference(found: engine::Difference, patch: bool) -> control::Difference {
    let compared = match found.content {
        engine::Compared::Lines { added, removed } => control::Compared::Lines { added, removed },
        engine::Compared::Nothing => control::Compared::Nothing,
        engine::Compared::Binary => control::Compared::Binary,
        engine::Compared::TooLarge => control::Compared::TooLarge,
    };
    let patch = patch.then(|| OsString::from_vec(found.patch).into());
    control::Difference { change: change(found.change), compared, patch }
}
