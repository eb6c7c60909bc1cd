//! What the layer of another machine says is done to this one, by path: what the view's own changes cannot say, because
//! the base of this machine may have something else there, or nothing.

use std::path::Path;

use super::attrs::{Gone, Own, Touched};
use super::copy_up::{ALL, cover};
use super::whiteouts::Whitening;
use super::{Overlay, Place, State};
use crate::error::{Error, Result};
use crate::filesystem::{Attr, FileSystem, Ino, Kind, ROOT};

impl Overlay {
    pub(crate) fn hides(&self, path: &Path) -> bool {
        self.hidden.hides(path)
    }

    /// The database has a folder of the base, too, from here on.
    pub(crate) fn raise(&self, number: Ino) -> Result<()> {
        self.risen(number, ALL).map(drop)
    }

    /// Takes away what the database has at a path and says of it: what the base has there shows again. A folder must be
    /// empty, as far as the database goes.
    pub(crate) fn reveal(&self, path: &Path) -> Result<()> {
        let name = path.file_name().ok_or(Error::Errno(libc::EINVAL))?;
        let mut state = self.state();
        let place = self.place_at(&state, path.parent().unwrap_or(Path::new("")))?;
        let found = match &place {
            Some(place) => self.find(&state, place, name)?,
            None => None,
        };
        let delta = found.as_ref().and_then(|found| found.delta);
        let was_opaque = delta.is_some_and(|delta| state.opaque.contains(&delta));
        let mut white = Whitening::default();
        self.change(&mut state, None, |lift, tree| {
            lift.forget(tree, Gone::One(path.to_owned()))?;
            // Below a folder that lets the base show, what is gone is told for itself.
            if was_opaque || lift.state.whiteouts.contains(path) {
                white.remove(tree.store, &lift.state.whiteouts, path)?;
            }
            match (&found, place.as_ref().and_then(|place| place.delta)) {
                (Some(found), Some(folder)) if found.delta.is_some() => match found.attr.kind {
                    Kind::Directory => tree.rmdir(folder, name),
                    _ => tree.unlink(folder, name),
                },
                _ => Ok(()),
            }
        })?;
        state.whiteouts.apply(white);
        let (Some(found), Some(delta)) = (&found, delta) else { return Ok(()) };
        if found.attr.kind != Kind::Directory {
            return Ok(());
        }
        match state.nodes.get_mut(found.attr.ino) {
            // From here on it is the base's alone, for whoever is in it, too.
            Some(node) if node.below.is_some() && node.delta == Some(delta) => {
                node.delta = None;
                self.files.forget(delta, 1);
            }
            _ => Self::lost_its_name(&mut state, found),
        }
        Ok(())
    }

    /// Nothing shows at a path, whatever the base has there or gets. Of the database nothing may be there any more.
    pub(crate) fn whiten(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        let mut white = Whitening::default();
        self.change(&mut state, None, |lift, tree| {
            lift.forget(tree, Gone::Within(path.to_owned()))?;
            white.add(tree.store, &lift.state.whiteouts, path)
        })?;
        state.whiteouts.apply(white);
        for number in state.nodes.within(path) {
            state.nodes.place(number, None);
        }
        Ok(())
    }

    /// Whether the base shows in a folder of the database.
    pub(crate) fn set_opaque(&self, delta: Ino, path: &Path, opaque: bool) -> Result<()> {
        let mut state = self.state();
        if state.opaque.contains(&delta) == opaque {
            return Ok(());
        }
        let is_folder = self.base.stat(path)?.is_some_and(|stat| stat.id.kind == Kind::Directory);
        let mut white = Whitening::default();
        self.change(&mut state, None, |lift, tree| {
            if opaque {
                lift.forget(tree, Gone::Within(path.to_owned()))?;
                tree.store.execute("INSERT OR IGNORE INTO nixbox_opaque (ino) VALUES (?)", &[delta.into()])?;
                if is_folder {
                    let whiteouts = &lift.state.whiteouts;
                    cover(self, tree, Some(delta), path, &mut |tree, below| white.add(tree.store, whiteouts, below))?;
                }
                return Ok(());
            }
            tree.store.execute("DELETE FROM nixbox_opaque WHERE ino = ?", &[delta.into()])?;
            white.remove(tree.store, &lift.state.whiteouts, path)
        })?;
        state.whiteouts.apply(white);
        if opaque {
            state.opaque.insert(delta);
            for number in state.nodes.within(path) {
                state.nodes.place(number, None);
            }
        } else {
            state.opaque.remove(&delta);
        }
        Ok(())
    }

    /// What the view says of an entry of the base.
    pub(crate) fn set_touched(&self, path: &Path, said: &Touched) -> Result<()> {
        let mut state = self.state();
        let here = self.base.stat(path)?;
        let own = Own::received(said, here.as_ref().map(|stat| &stat.attr));
        self.files.grow_tree(0, |tree| own.write(tree.store, path))?;
        state.attrs.set(path.to_owned(), own);
        Ok(())
    }

    /// What the base has at a path.
    pub(crate) fn below_at(&self, path: &Path) -> Result<Option<Attr>> {
        Ok(self.base.stat(path)?.map(|stat| stat.attr))
    }

    /// The folder that shows at a path, if one does.
    fn place_at(&self, state: &State, path: &Path) -> Result<Option<Place>> {
        let mut place = self.place(state, ROOT)?;
        for name in path {
            match self.find(state, &place, name)? {
                Some(found) if found.attr.kind == Kind::Directory => {
                    place = Place { delta: found.delta, base: found.below.map(|below| below.path) };
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(place))
    }
}
