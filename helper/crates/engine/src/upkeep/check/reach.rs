//! Which folders the root leads to. Walked in memory: SQL has no word for a circle.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::lost;
use super::rule::{Places, Scene};
use crate::error::Result;

/// The entries that stand for folders.
struct Map {
    /// By folder: the entry's number and the folder it stands for, oldest first.
    below: HashMap<i64, Vec<(i64, i64)>>,
    folders: BTreeSet<i64>,
}

struct Walked {
    reached: HashSet<i64>,
    /// Entries that lead to where another has led before.
    again: Vec<(i64, i64)>,
}

impl Map {
    fn of(scene: &mut Scene<'_>) -> Result<Self> {
        let mut below: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
        let entries = scene.numbers::<3>(
            "SELECT d.parent_ino, d.id, d.ino FROM fs_dentry AS d JOIN fs_inode AS i ON i.ino = d.ino \
             WHERE i.mode & 61440 = 16384 ORDER BY d.id",
            &[],
        )?;
        for [parent, id, ino] in entries {
            below.entry(parent).or_default().push((id, ino));
        }
        let folders = scene.numbers::<1>("SELECT ino FROM fs_inode WHERE mode & 61440 = 16384", &[])?;
        Ok(Self { below, folders: folders.into_iter().map(|[ino]| ino).collect() })
    }

    fn walk(&self, from: &[i64]) -> Walked {
        let mut walked = Walked { reached: from.iter().copied().collect(), again: Vec::new() };
        let mut next = from.to_vec();
        while let Some(at) = next.pop() {
            for (id, ino) in self.below.get(&at).into_iter().flatten() {
                match walked.reached.insert(*ino) {
                    true => next.push(*ino),
                    false => walked.again.push((*id, *ino)),
                }
            }
        }
        walked
    }

    /// One folder of each circle that nothing leads to: with these, everything is reached.
    fn circles(&self) -> Vec<i64> {
        let mut starts = vec![1];
        let named: HashSet<i64> = self.below.values().flatten().map(|(_, ino)| *ino).collect();
        // Those without a name are another rule's, with all that is below them.
        starts.extend(self.folders.iter().filter(|ino| **ino != 1 && !named.contains(ino)));
        let mut reached = self.walk(&starts).reached;
        let mut circles = Vec::new();
        for folder in &self.folders {
            if !reached.contains(folder) {
                circles.push(*folder);
                reached.extend(self.walk(&[*folder]).reached);
            }
        }
        circles
    }
}

pub(super) fn twice(scene: &mut Scene<'_>) -> Result<Places> {
    let mut places = Places::default();
    for (id, ino) in Map::of(scene)?.walk(&[1]).again {
        places.add(format!("entry {id} (folder {ino})"));
    }
    Ok(places)
}

pub(super) fn keep_first(scene: &mut Scene<'_>) -> Result<()> {
    for (id, _) in Map::of(scene)?.walk(&[1]).again {
        scene.run("DELETE FROM fs_dentry WHERE id = ?", &[id.into()])?;
    }
    Ok(())
}

pub(super) fn circles(scene: &mut Scene<'_>) -> Result<Places> {
    let mut places = Places::default();
    for ino in Map::of(scene)?.circles() {
        places.add(format!("folder {ino}"));
    }
    Ok(places)
}

pub(super) fn open_circles(scene: &mut Scene<'_>) -> Result<()> {
    for ino in Map::of(scene)?.circles() {
        scene.run("DELETE FROM fs_dentry WHERE ino = ?", &[ino.into()])?;
        lost::keep(scene, ino, &format!("folder-{ino}"))?;
    }
    Ok(())
}
