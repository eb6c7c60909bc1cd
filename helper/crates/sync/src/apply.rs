//! Makes a tree what it is to be, out of the other side's: the one way in which anything is changed, on either side.

mod content;
mod entry;
mod layered;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nixbox_engine::{
    Absent, Attr, Beneath, Delta, Error as Engine, FileSystem, Ino, Kind, Kv, Notes, ROOT, Rename, Witness,
};

use crate::company::{Phase, Progress, go_on};
use crate::error::{Error, Result};
use crate::layer;
use crate::look::{Key, Look, Mark, Sort, What};
use crate::order::Order;
use crate::scan::{Looks, Scan};
use crate::source::Source;

/// What is changed.
pub(crate) struct Target<'a> {
    tree: &'a Arc<dyn FileSystem>,
    kv: &'a Kv,
    absent: &'a Absent,
    /// Who shows it is told afterwards: see [`Witness`].
    news: RefCell<Vec<News>>,
    /// The folder that was last at work, by its path: its neighbours come next.
    folder: RefCell<Option<(String, Ino)>>,
    /// What was found in a view keeps its number only for as long as somebody refers to it.
    held: RefCell<Vec<Ino>>,
    /// Nobody looks at it meanwhile: files are written where they are, so that only what differs is written.
    alone: bool,
    /// Where it is a layer over a base; `tree` is the view then.
    layer: Option<Layer<'a>>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        (tree, kv, absent): (&'a Arc<dyn FileSystem>, &'a Kv, &'a Absent),
        alone: bool,
        layer: Option<Layer<'a>>,
    ) -> Self {
        let (news, folder, held) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { tree, kv, absent, news, folder, held, alone, layer }
    }
}

/// What a target has of its own.
pub(crate) struct Layer<'a> {
    pub(crate) delta: &'a Delta,
    /// See [`layer::recognised`].
    pub(crate) beneath: BTreeMap<String, Beneath>,
}

/// What whoever shows a tree has to hear.
#[derive(Debug)]
pub(crate) enum News {
    Entry(Ino, String),
    Inode(Ino),
}

impl Target<'_> {
    /// The files of `order`. Stops where the target is not as it was in `now`: somebody else has changed it since.
    pub(crate) fn apply_files(&self, order: &Order, now: &Scan, source: &Source<'_>) -> Result<()> {
        let applied = self.change_files(order, now, source);
        self.held.borrow_mut().drain(..).for_each(|ino| self.tree.forget(ino, 1));
        applied
    }

    fn change_files(&self, order: &Order, now: &Scan, source: &Source<'_>) -> Result<()> {
        let phase = if self.alone { Phase::Packing } else { Phase::Applying };
        let mut far = Progress { of_things: order.len() as u64, of_bytes: order.bytes(), ..Progress::at(phase) };
        let notes = self.layer.as_ref().map(|layer| layer.delta.notes()).transpose()?;
        let said = notes.as_ref().map(|notes| (notes, &now.looks));
        let leaving: BTreeMap<&str, &str> = order.moves.iter().map(|(to, from)| (&**from, &**to)).collect();
        let mut aside = BTreeMap::new();
        for key in &order.remove {
            go_on(source.company, far)?;
            far.things += 1;
            self.folder.replace(None);
            if let Key::File(path) = key {
                self.expect(path, now.marks.get(key), now.looks.get(key), said)?;
                if let Some(to) = leaving.get(path.as_str())
                    && let Some(name) = self.put_aside(path)?
                {
                    aside.insert(*to, (name, now.looks.get(key)));
                    continue;
                }
                match &self.layer {
                    Some(layer) => self.reveal(layer, path)?,
                    None => self.remove(path)?,
                }
            }
        }
        for (key, look) in &order.put {
            go_on(source.company, far)?;
            far.things += 1;
            match look.what {
                What::File { size, .. } => far.bytes += size,
                // It may take the place of a folder.
                _ => drop(self.folder.replace(None)),
            }
            if let Key::File(path) = key {
                let before = now.looks.get(key);
                let there = before.filter(|there| there.sort() == look.sort());
                let mark = there.and_then(|_| now.marks.get(key));
                // What was of another sort has been taken away just now, and was looked at then.
                let said = if there.is_none() && before.is_some() { None } else { said };
                self.expect(path, mark, there, said)?;
                let there = match aside.remove(path.as_str()) {
                    Some((name, look)) => {
                        let (parent, to, _) = self.find(path)?;
                        self.tree.rename((ROOT, OsStr::new(&name)), (parent, OsStr::new(to)), Rename::NoReplace)?;
                        look
                    }
                    None => there,
                };
                match &self.layer {
                    Some(layer) => self.put_layer(layer, path, look, there, source)?,
                    None => self.put(path, look, there, source)?,
                }
            }
        }
        Ok(())
    }

    /// The values of it. Each is on disk when this returns.
    pub(crate) fn apply_values(&self, order: &Order, source: &Source<'_>) -> Result<()> {
        for key in &order.remove {
            if let Key::Value(key) = key {
                self.kv.delete(key)?;
            }
        }
        for (key, _) in &order.put {
            if let Key::Value(key) = key {
                let entry = source.kv.get(source.key_of(key))?.ok_or(Error::Moved)?;
                self.kv.set(key, &entry.value)?;
            }
        }
        Ok(())
    }

    /// `said`: of the base's, where it is a layer.
    fn expect(
        &self,
        path: &str,
        mark: Option<&Mark>,
        look: Option<&Look>,
        said: Option<(&Notes, &Looks)>,
    ) -> Result<()> {
        let found = match &self.layer {
            Some(layer) => find(&*layer.delta.tree(), path).map(Some),
            None => self.find(path).map(|(_, _, there)| there),
        };
        let there = match found {
            Ok(there) => there,
            // Not there, or a folder above is not, which is put before.
            Err(Error::Engine(Engine::Errno(libc::ENOENT | libc::ENOTDIR))) => None,
            Err(error) => return Err(error),
        };
        let as_it_was = match (&there, look) {
            (None, look) if look.is_none_or(|look| matches!(look.sort(), Sort::Gone | Sort::Touched)) => {
                said.is_none_or(|(notes, looks)| layer::said_at(notes, looks, path).as_ref() == look)
            }
            (Some(attr), Some(look)) if look.is_folder() => attr.kind == Kind::Directory,
            // Other names of the same file come and go with this very work.
            (Some(attr), Some(_)) => mark.is_some_and(|mark| {
                let Mark { ino, size, mtime, .. } = Mark::of(attr);
                (ino, size, mtime) == (mark.ino, mark.size, mark.mtime)
            }),
            _ => false,
        };
        if as_it_was { Ok(()) } else { Err(Error::Moved) }
    }

    pub(crate) fn tell(&self, witness: &dyn Witness) {
        for one in self.news.borrow_mut().drain(..) {
            match one {
                News::Entry(directory, name) => witness.entry_changed(directory, OsStr::new(&name)),
                News::Inode(ino) => witness.inode_changed(ino),
            }
        }
    }

    fn told_of(&self, parent: Ino, name: &str, ino: Option<Ino>) {
        let mut news = self.news.borrow_mut();
        news.push(News::Entry(parent, name.to_owned()));
        news.extend([Some(parent), ino].into_iter().flatten().map(News::Inode));
    }

    /// Where a path is: its folder, its name there, and what is there. ENOENT where the folder is not.
    fn find<'p>(&self, path: &'p str) -> Result<(Ino, &'p str, Option<Attr>)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let known = self.folder.borrow().as_ref().filter(|(known, _)| known == folder).map(|(_, ino)| *ino);
        let parent = match known {
            Some(ino) => ino,
            None if folder.is_empty() => ROOT,
            None => {
                let ino = self.see(folder)?.ino;
                self.folder.replace(Some((folder.to_owned(), ino)));
                ino
            }
        };
        match self.look_up(parent, name) {
            Ok(attr) => Ok((parent, name, Some(attr))),
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => Ok((parent, name, None)),
            Err(error) => Err(error),
        }
    }

    fn see(&self, path: &str) -> Result<Attr> {
        let mut attr = self.tree.getattr(ROOT)?;
        for part in path.split('/') {
            attr = self.look_up(attr.ino, part)?;
        }
        Ok(attr)
    }

    fn look_up(&self, parent: Ino, name: &str) -> Result<Attr> {
        let attr = self.tree.lookup(parent, OsStr::new(name))?;
        self.held.borrow_mut().push(attr.ino);
        Ok(attr)
    }
}

/// In a tree in which what has a name has its number.
fn find(tree: &dyn FileSystem, path: &str) -> Result<Attr> {
    let mut attr = tree.getattr(ROOT)?;
    for part in path.split('/') {
        attr = tree.lookup(attr.ino, OsStr::new(part))?;
        tree.forget(attr.ino, 1);
    }
    Ok(attr)
}

fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".nixbox-sync-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
