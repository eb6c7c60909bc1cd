//! Both sides of a conflict kept: ours stays, theirs lands beside it under a name that says so. A file keeps its ending
//! (`plan.md` and `plan.theirs.md`), everything else gets one (`bin.theirs`, `kv:plan.theirs`); a folder brings all that
//! is in it. Where something has that name it is `plan.theirs-2.md`, and so on.

use std::collections::BTreeSet;

use crate::look::{Key, Look, Sort, What};
use crate::merge::Merged;
use crate::scan::Looks;

/// The longest name of an entry, in bytes.
const LONGEST: usize = 255;

/// Something of the remote's that comes here under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) from: Key,
    pub(crate) to: Key,
    pub(crate) look: Look,
}

pub(crate) fn put_beside(both: &[Key], merged: &Merged, local: &Looks, remote: &Looks) -> Vec<Beside> {
    let mut chosen: BTreeSet<Key> = BTreeSet::new();
    let mut all = Vec::new();
    for key in both {
        // What is the base's but for its attributes is there already.
        let is_own = |look: &Look| matches!(look.sort(), Sort::Entry | Sort::Folder);
        let Some(look) = remote.get(key).filter(|look| is_own(look)) else { continue };
        let conflicting = |name: &Key| merged.conflicts.iter().any(|conflict| conflict.key == *name);
        let is_free = |name: &Key| {
            !merged.wanted.contains_key(name)
                && !local.contains_key(name)
                && !remote.contains_key(name)
                && !conflicting(name)
                && !chosen.contains(name)
        };
        let Some(root) = (1u32..).map(|nth| name_of(key, look, nth)).find(is_free) else { continue };
        chosen.insert(root.clone());
        let inside = remote.iter().filter(|(it, look)| (*it == key || it.is_below(key)) && is_own(look));
        all.extend(inside.map(|(from, look)| Beside {
            to: moved(from, key, &root),
            // The first of its names may be another file here.
            look: match &look.what {
                What::Same { first } => anew(remote.get(&Key::File(first.clone())).unwrap_or(look)),
                _ => anew(look),
            },
            from: from.clone(),
        }));
    }
    all
}

/// Under a name that the base has nothing at, it stands for nothing.
fn anew(look: &Look) -> Look {
    let what = if look.is_folder() { What::Folder } else { look.what.clone() };
    Look { what, over: None, ..look.clone() }
}

fn moved(key: &Key, from: &Key, to: &Key) -> Key {
    match (key, from, to) {
        (Key::File(path), Key::File(from), Key::File(to)) => Key::File(format!("{to}{}", &path[from.len()..])),
        _ => to.clone(),
    }
}

fn name_of(key: &Key, look: &Look, nth: u32) -> Key {
    let mark = if nth == 1 { ".theirs".to_owned() } else { format!(".theirs-{nth}") };
    let path = match key {
        Key::Value(key) => return Key::Value(format!("{key}{mark}")),
        Key::File(path) => path,
    };
    let begin = path.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, name) = path.split_at(begin);
    let is_file = matches!(look.what, What::File { .. } | What::Same { .. });
    let dot = name.rfind('.').filter(|dot| is_file && *dot > 0 && name.len() - dot <= 16);
    let (stem, end) = name.split_at(dot.unwrap_or(name.len()));
    let mut room = LONGEST.saturating_sub(mark.len() + end.len()).min(stem.len());
    while !stem.is_char_boundary(room) {
        room -= 1;
    }
    Key::File(format!("{folder}{}{mark}{end}", &stem[..room]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is_and_keeps_its_ending() {
        let file = Look {
            perm: 0,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            what: What::File { size: 0, hash: String::new() },
            over: None,
        };
        let name = |path: &str, nth| name_of(&Key::File(path.into()), &file, nth).to_string();
        assert_eq!(name("a/plan.md", 1), "/a/plan.theirs.md");
        assert_eq!(name("a.b/Makefile", 2), "/a.b/Makefile.theirs-2");
        assert_eq!(name(".env", 1), "/.env.theirs");
        assert_eq!(name("ends.", 1), "/ends.theirs.");
        let long = "\u{e9}".repeat(127) + "x";
        assert_eq!(name(&long, 1), format!("/{}.theirs", "\u{e9}".repeat(124)));
        assert_eq!(name_of(&Key::Value("a.b".into()), &file, 1).to_string(), "kv:a.b.theirs");
    }
}
