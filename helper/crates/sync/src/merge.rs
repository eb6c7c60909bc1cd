//! Three states, what was agreed on and the two that came of it, become one, path by path. What only one side changed is
//! taken; what both changed alike is agreed; what each changed in its own way is a conflict, and somebody's to settle.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::beside::{Beside, put_beside};
use crate::look::{Key, Look};
use crate::scan::Looks;

/// Something that both sides changed, as it is on either; none where it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub key: Key,
    pub ours: Option<Look>,
    pub theirs: Option<Look>,
    /// Where one of them is a folder: a hash of all that is in it, on either side. What is settled is settled for that.
    pub below: Option<String>,
}

/// How somebody has settled a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    Ours,
    Theirs,
    /// Ours stays where it is, theirs lands beside it: see [`crate::beside`]. What one side has taken away is kept as the
    /// other has it.
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Local,
    Remote,
}

#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// What both sides are to have, and which has it.
    pub(crate) wanted: BTreeMap<Key, (Look, Side)>,
    pub(crate) conflicts: Vec<Conflict>,
    /// What comes here under another name than it has there.
    pub(crate) beside: Vec<Beside>,
    /// Somebody has settled it so that what was changed here is not only what it was changed to.
    pub(crate) gives_up_ours: bool,
}

pub(crate) fn merge(
    agreed: &Looks,
    local: &Looks,
    remote: &Looks,
    settled: impl Fn(&Conflict) -> Option<Settled>,
) -> Merged {
    let mut merged = Merged::default();
    let mut wholes = Vec::new();
    let keys: BTreeSet<&Key> = agreed.keys().chain(local.keys()).chain(remote.keys()).collect();
    for key in keys {
        let (base, ours, theirs) = (agreed.get(key), local.get(key), remote.get(key));
        let side = match choose(base, ours, theirs) {
            Some(side) => side,
            None => {
                let conflict = conflict(key, local, remote);
                match settled(&conflict) {
                    Some(take) => wholes.push((conflict, take)),
                    None => merged.conflicts.push(conflict),
                }
                continue;
            }
        };
        let look = if side == Side::Local { ours } else { theirs };
        if let Some(look) = look {
            merged.wanted.insert(key.clone(), (look.clone(), side));
        }
    }
    let mut both = Vec::new();
    for (conflict, take) in wholes {
        merged.settle(&conflict, take, local, remote, &mut both);
    }
    take_away(&mut merged, agreed, local, remote);
    keep_folders(&mut merged, agreed, local, remote, settled, &mut both);
    merged.beside = put_beside(&both, &merged, local, remote);
    merged
}

impl Merged {
    /// What is in a folder is settled with it.
    fn settle(&mut self, conflict: &Conflict, take: Settled, local: &Looks, remote: &Looks, both: &mut Vec<Key>) {
        let Conflict { key, ours, theirs, .. } = conflict;
        let inside = |it: &Key| it == key || it.is_below(key);
        self.wanted.retain(|it, _| !inside(it));
        self.conflicts.retain(|it| !inside(&it.key));
        let is_there = |look: &Option<Look>| look.as_ref().is_some_and(|look| !look.is_gone());
        let (looks, side) = match take {
            Settled::Ours => (local, Side::Local),
            Settled::Theirs => (remote, Side::Remote),
            Settled::Both if is_there(ours) => (local, Side::Local),
            Settled::Both => (remote, Side::Remote),
        };
        let taken = looks.iter().filter(|(it, _)| inside(it));
        self.wanted.extend(taken.map(|(it, look)| (it.clone(), (look.clone(), side))));
        self.gives_up_ours |= take != Settled::Ours;
        if take == Settled::Both && is_there(ours) && is_there(theirs) {
            both.push(key.clone());
        }
    }
}

fn conflict(key: &Key, local: &Looks, remote: &Looks) -> Conflict {
    let mut hasher = blake3::Hasher::new();
    let mut below = false;
    for (side, looks) in [local, remote].into_iter().enumerate() {
        for (it, look) in looks.iter().filter(|(it, _)| it.is_below(key)) {
            below = true;
            hasher.update(format!("{side} {it:?} {look:?}\n").as_bytes());
        }
    }
    Conflict {
        key: key.clone(),
        ours: local.get(key).cloned(),
        theirs: remote.get(key).cloned(),
        below: below.then(|| hasher.finalize().to_hex().to_string()),
    }
}

fn choose(base: Option<&Look>, ours: Option<&Look>, theirs: Option<&Look>) -> Option<Side> {
    if ours == theirs || theirs == base {
        return Some(Side::Local);
    }
    if ours == base {
        return Some(Side::Remote);
    }
    match (base, ours, theirs) {
        // Folders have no content that could be lost.
        (_, Some(ours), Some(theirs)) if ours.is_folder() && ours.what == theirs.what => Some(Side::Local),
        (_, Some(ours), Some(theirs)) if ours.differs_only_in_time(theirs) => Some(Side::Local),
        (Some(base), Some(ours), Some(_)) if ours.differs_only_in_time(base) => Some(Side::Remote),
        (Some(base), Some(_), Some(theirs)) if theirs.differs_only_in_time(base) => Some(Side::Local),
        // A time alone gives way to whatever else somebody did.
        (None, Some(ours), Some(_)) if ours.is_a_time_alone() => Some(Side::Remote),
        (None, Some(_), Some(theirs)) if theirs.is_a_time_alone() => Some(Side::Local),
        // A folder that one side removed and the other only chmodded stays only if something is in it.
        (Some(base), None, Some(theirs)) if base.is_folder() && theirs.is_folder() => Some(Side::Local),
        (Some(base), Some(ours), None) if base.is_folder() && ours.is_folder() => Some(Side::Remote),
        _ => None,
    }
}

/// A folder of the base that one side took away: what the other took away in it is gone with it, and so is what only led
/// there. Whatever else it did in there is in conflict with that.
fn take_away(merged: &mut Merged, agreed: &Looks, local: &Looks, remote: &Looks) {
    let did_nothing_in = |key: &Key, looks: &Looks| {
        let mut within = looks.iter().filter(|(below, _)| below.is_below(key));
        within.all(|(below, look)| look.is_folder() || look.is_gone() || agreed.get(below) == Some(look))
    };
    let is = |look: &Option<Look>, what: fn(&Look) -> bool| look.as_ref().is_some_and(what);
    let Merged { wanted, conflicts, .. } = merged;
    conflicts.retain(|Conflict { key, ours, theirs, .. }| {
        let (look, side, other) = match (is(ours, Look::is_gone), is(theirs, Look::is_gone)) {
            (true, false) if is(theirs, Look::is_folder) => (ours, Side::Local, remote),
            (false, true) if is(ours, Look::is_folder) => (theirs, Side::Remote, local),
            _ => return true,
        };
        match look {
            Some(look) if did_nothing_in(key, other) => {
                wanted.insert(key.clone(), (look.clone(), side));
                false
            }
            _ => true,
        }
    });
    let gone: BTreeSet<Key> =
        wanted.iter().filter(|(_, (look, _))| look.is_gone()).map(|(key, _)| key.clone()).collect();
    wanted.retain(|key, (look, _)| {
        !(look.is_gone() || look.is_folder()) || gone.is_empty() || !key.above().any(|above| gone.contains(&above))
    });
}

/// A folder that one side removed and into which the other put something stays. Where a folder became something else,
/// that is a conflict.
fn keep_folders(
    merged: &mut Merged,
    agreed: &Looks,
    local: &Looks,
    remote: &Looks,
    settled: impl Fn(&Conflict) -> Option<Settled>,
    both: &mut Vec<Key>,
) {
    let above: BTreeSet<Key> = merged.wanted.keys().flat_map(|key| key.above().collect::<Vec<_>>()).collect();
    for key in above {
        match merged.wanted.get(&key) {
            Some((look, _)) if look.is_folder() => continue,
            None if merged.conflicts.iter().any(|conflict| conflict.key == key) => continue,
            // What was in it went with something above.
            None if !merged.wanted.keys().any(|below| below.is_below(&key)) => continue,
            None => {
                let folder = |looks: &Looks| looks.get(&key).filter(|look| look.is_folder()).cloned();
                let there = (folder(local).map(|look| (look, Side::Local)))
                    .or_else(|| folder(remote).map(|look| (look, Side::Remote)))
                    .or_else(|| folder(agreed).map(|look| (look, Side::Local)));
                if let Some(there) = there {
                    merged.wanted.insert(key, there);
                }
            }
            Some(_) if !merged.wanted.keys().any(|below| below.is_below(&key)) => continue,
            Some(_) => {
                let conflict = conflict(&key, local, remote);
                match settled(&conflict) {
                    Some(take) => merged.settle(&conflict, take, local, remote, both),
                    None => {
                        merged.wanted.remove(&key);
                        merged.conflicts.push(conflict);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::What;

    fn file(content: &str, time: i64) -> Look {
        let what = What::File { size: content.len() as u64, hash: content.into() };
        Look { perm: 0o644, uid: 0, gid: 0, mtime: (time, 0), what, over: None }
    }

    fn folder() -> Look {
        Look { perm: 0o755, uid: 0, gid: 0, mtime: (0, 0), what: What::Folder, over: None }
    }

    fn looks(things: &[(&str, Look)]) -> Looks {
        things.iter().map(|(path, look)| (Key::File((*path).into()), look.clone())).collect()
    }

    fn merged(agreed: &Looks, local: &Looks, remote: &Looks) -> (Vec<String>, Vec<String>) {
        let merged = merge(agreed, local, remote, |_| None);
        let wanted = merged.wanted.iter().map(|(key, (look, _))| match &look.what {
            What::File { hash, .. } => format!("{key}={hash}"),
            _ => key.to_string(),
        });
        (wanted.collect(), merged.conflicts.iter().map(|conflict| conflict.key.to_string()).collect())
    }

    #[test]
    fn what_one_side_did_is_taken() {
        let base = looks(&[("a", file("1", 1)), ("b", file("1", 1)), ("c", file("1", 1)), ("d", file("1", 1))]);
        let ours = looks(&[("a", file("2", 2)), ("b", file("1", 1)), ("d", file("1", 1)), ("n", file("n", 2))]);
        let theirs = looks(&[("a", file("1", 1)), ("b", file("3", 3)), ("c", file("1", 1)), ("m", file("m", 3))]);
        assert_eq!(merged(&base, &ours, &theirs).0, ["/a=2", "/b=3", "/m=m", "/n=n"]);
        assert!(merged(&base, &ours, &theirs).1.is_empty());
    }

    #[test]
    fn what_both_did_is_a_conflict_unless_it_is_the_same() {
        let base = looks(&[("a", file("1", 1)), ("b", file("1", 1)), ("c", file("1", 1))]);
        let ours = looks(&[("a", file("2", 2)), ("b", file("2", 2)), ("n", file("x", 1)), ("m", file("x", 1))]);
        let theirs = looks(&[("a", file("3", 3)), ("b", file("2", 2)), ("c", file("4", 1)), ("n", file("y", 1))]);
        let (wanted, conflicts) = merged(&base, &ours, &theirs);
        assert_eq!(conflicts, ["/a", "/c", "/n"]);
        assert_eq!(wanted, ["/b=2", "/m=x"]);
    }

    #[test]
    fn a_time_alone_is_no_conflict() {
        let base = looks(&[("a", file("1", 1))]);
        let (touched, changed) = (looks(&[("a", file("1", 9))]), looks(&[("a", file("2", 2))]));
        assert_eq!(merged(&base, &touched, &changed), (vec!["/a=2".into()], vec![]));
        assert_eq!(merged(&base, &changed, &touched), (vec!["/a=2".into()], vec![]));
        assert_eq!(merged(&base, &touched, &looks(&[("a", file("1", 5))])).1, [""; 0]);
    }

    #[test]
    fn a_folder_stays_for_what_is_in_it() {
        let base = looks(&[("d", folder()), ("d/a", file("1", 1))]);
        let theirs = looks(&[("d", folder()), ("d/a", file("1", 1)), ("d/e", folder()), ("d/e/n", file("n", 1))]);
        assert_eq!(merged(&base, &looks(&[]), &theirs), (vec!["/d".into(), "/d/e".into(), "/d/e/n=n".into()], vec![]));
        assert_eq!(merged(&base, &theirs, &looks(&[])).0, ["/d", "/d/e", "/d/e/n=n"]);
        let ours = looks(&[("d", file("x", 1))]);
        assert_eq!(merged(&base, &ours, &theirs).1, ["/d"]);
    }

    fn gone() -> Look {
        Look::bare(What::Gone)
    }

    #[test]
    fn what_is_gone_from_the_base_is_something_that_was_done_to_it() {
        let none = looks(&[]);
        let (ours, theirs) = (looks(&[("a", gone())]), looks(&[("a", file("1", 1))]));
        assert_eq!(merged(&none, &ours, &theirs).1, ["/a"]);
        assert_eq!(merged(&none, &ours, &none).0, ["/a"]);
        assert_eq!(merged(&none, &ours, &ours), (vec!["/a".into()], vec![]));
        // Agreed to be gone, and there again on one side.
        assert_eq!(merged(&ours, &none, &ours), (vec![], vec![]));
        assert_eq!(merged(&ours, &ours, &theirs).0, ["/a=1"]);
    }

    #[test]
    fn a_folder_of_the_base_that_is_gone_takes_along_what_is_gone_in_it() {
        let (none, ours) = (looks(&[]), looks(&[("d", gone())]));
        let theirs = looks(&[("d", folder()), ("d/e", folder()), ("d/e/x", gone())]);
        for (one, other) in [(&ours, &theirs), (&theirs, &ours)] {
            assert_eq!(merged(&none, one, other), (vec!["/d".into()], vec![]));
            assert_eq!(merged(&theirs, one, &theirs).1, [""; 0]);
        }
        let worked = looks(&[("d", folder()), ("d/e", folder()), ("d/e/x", file("1", 1))]);
        assert_eq!(merged(&none, &ours, &worked).1, ["/d"]);
        assert_eq!(merged(&none, &worked, &ours).1, ["/d"]);
        // It was there before, and the other did nothing more to it.
        assert_eq!(merged(&worked, &ours, &worked), (vec!["/d".into()], vec![]));
        let merged = merge(&none, &ours, &worked, |_| Some(Settled::Theirs));
        assert_eq!((merged.conflicts.len(), merged.wanted.len()), (0, 3));
        let merged = merge(&none, &ours, &worked, |_| Some(Settled::Ours));
        assert_eq!((merged.conflicts.len(), merged.wanted.len()), (0, 1));
    }

    #[test]
    fn attributes_in_a_folder_that_the_other_took_away_are_asked_about() {
        let touched = |perm| {
            let what = What::Touched { kind: 0o100_000, perm, uid: None, gid: None, mtime: None, size: 1 };
            looks(&[("d/x", Look::bare(what))])
        };
        let (none, ours) = (looks(&[]), looks(&[("d", gone())]));
        assert_eq!(merged(&none, &ours, &touched(Some(0o600))).1, ["/d"]);
        let settled = merge(&none, &ours, &touched(Some(0o600)), |_| Some(Settled::Theirs));
        assert_eq!(settled.wanted.keys().map(Key::to_string).collect::<Vec<_>>(), ["/d/x"]);
        // A time alone gives way.
        let changed = looks(&[("d/x", file("2", 2))]);
        assert_eq!(merged(&none, &touched(None), &changed), (vec!["/d/x=2".into()], vec![]));
        assert_eq!(merged(&none, &changed, &touched(Some(0o600))).1, ["/d/x"]);
    }

    #[test]
    fn a_folder_that_hides_the_base_is_another_than_one_that_does_not() {
        let opaque = || looks(&[("d", Look { what: What::Opaque, ..folder() })]);
        let shows = || looks(&[("d", folder())]);
        assert_eq!(merged(&looks(&[]), &opaque(), &shows()).1, ["/d"]);
        assert_eq!(merged(&shows(), &opaque(), &shows()), (vec!["/d".into()], vec![]));
    }

    #[test]
    fn nothing_agreed_means_that_both_are_kept() {
        let ours = looks(&[("a", file("1", 1)), ("b", file("1", 1))]);
        let theirs = looks(&[("b", file("1", 1)), ("c", file("2", 2))]);
        assert_eq!(merged(&looks(&[]), &ours, &theirs), (vec!["/a=1".into(), "/b=1".into(), "/c=2".into()], vec![]));
    }

    fn settled(agreed: &Looks, local: &Looks, remote: &Looks, take: Settled) -> (Vec<String>, Vec<String>) {
        let merged = merge(agreed, local, remote, |_| Some(take));
        assert!(merged.conflicts.is_empty());
        let wanted = merged.wanted.keys().map(ToString::to_string).collect();
        (wanted, merged.beside.iter().map(|it| format!("{} -> {}", it.from, it.to)).collect())
    }

    #[test]
    fn both_are_kept_under_names_that_nothing_has() {
        let ours = looks(&[("d", folder()), ("d/a.tar.gz", file("1", 1)), ("d/a.tar.theirs.gz", file("1", 1))]);
        let theirs = looks(&[("d", folder()), ("d/a.tar.gz", file("2", 1)), ("d/a.tar.theirs-2.gz", file("1", 1))]);
        let (wanted, beside) = settled(&looks(&[]), &ours, &theirs, Settled::Both);
        assert_eq!(wanted, ["/d", "/d/a.tar.gz", "/d/a.tar.theirs-2.gz", "/d/a.tar.theirs.gz"]);
        assert_eq!(beside, ["/d/a.tar.gz -> /d/a.tar.theirs-3.gz"]);
        let base = looks(&[("a", file("1", 1)), ("b", file("1", 1))]);
        let (ours, theirs) = (looks(&[("a", file("2", 1))]), looks(&[("b", file("2", 1))]));
        assert_eq!(settled(&base, &ours, &theirs, Settled::Both), (vec!["/a".into(), "/b".into()], vec![]));
    }

    #[test]
    fn a_folder_is_settled_with_what_is_in_it() {
        let base = looks(&[("d", folder()), ("d/a", file("1", 1)), ("d/b", file("1", 1))]);
        let ours = looks(&[("d", folder()), ("d/a", file("1", 1)), ("d/b", file("2", 1)), ("d/n", file("n", 1))]);
        let theirs = looks(&[("d", file("x", 1))]);
        let folders = vec!["/d".to_owned(), "/d/a".into(), "/d/b".into(), "/d/n".into()];
        assert_eq!(settled(&base, &ours, &theirs, Settled::Ours), (folders.clone(), vec![]));
        assert_eq!(settled(&base, &ours, &theirs, Settled::Theirs), (vec!["/d".into()], vec![]));
        assert_eq!(settled(&base, &ours, &theirs, Settled::Both), (folders, vec!["/d -> /d.theirs".into()]));
        // And the other way around, where all that is in it comes under another name.
        let beside = ["/d -> /d.theirs", "/d/a -> /d.theirs/a", "/d/b -> /d.theirs/b", "/d/n -> /d.theirs/n"];
        let beside: Vec<_> = beside.map(str::to_owned).into();
        assert_eq!(settled(&base, &theirs, &ours, Settled::Both), (vec!["/d".into()], beside));
        // What comes into it after it was settled was not.
        let hash = |theirs: &Looks| merge(&base, &ours, theirs, |_| None).conflicts[0].below.clone();
        let more = looks(&[("d", file("x", 1)), ("e", file("x", 1))]);
        assert_eq!(hash(&theirs), hash(&more));
        assert!(
            merge(&base, &looks(&[("d", folder()), ("d/n", file("m", 1))]), &theirs, |_| None).conflicts[0].below
                != hash(&theirs)
        );
    }
}
