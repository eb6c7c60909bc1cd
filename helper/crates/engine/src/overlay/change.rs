//! Making entries and taking them away.

use std::ffi::OsStr;
use std::path::Path;

use super::attrs::Gone;
use super::copy_up::{ALL, Lift, cover};
use super::whiteouts::Whitening;
use super::{Found, Overlay, Place, State};
use crate::error::{Error, Result};
use crate::files::names;
use crate::files::tree::Tree;
use crate::filesystem::{Attr, Ino, Kind};

impl Overlay {
    /// What a program may not make: it would not be seen.
    pub(super) fn refuse_hidden(&self, place: &Place, name: &OsStr) -> Result<()> {
        match place.below(name) {
            Some(path) if self.hidden.hides(&path) => Err(Error::Errno(libc::EPERM)),
            _ => Ok(()),
        }
    }

    /// The folder in the database, copied up if it is not there.
    pub(super) fn folder(lift: &mut Lift<'_>, tree: &mut Tree<'_>, place: &Place) -> Result<Ino> {
        match (place.delta, &place.base) {
            (Some(delta), _) => Ok(delta),
            (None, Some(base)) => lift.directory(tree, base),
            (None, None) => Err(Error::Errno(libc::ENOENT)),
        }
    }

    pub(super) fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        is_directory: bool,
        make: impl FnOnce(&mut Tree<'_>, Ino) -> Result<Attr>,
    ) -> Result<Attr> {
        names::new_name(name)?;
        let mut state = self.state();
        let place = self.place(&state, parent)?;
        if self.find(&state, &place, name)?.is_some() {
            return Err(Error::Errno(libc::EEXIST));
        }
        self.refuse_hidden(&place, name)?;
        let path = self.path_in_the_base(&state, &place, name)?;
        // Nothing is seen there, so what the base may have there has been taken away.
        let takes_place = !is_directory && path.as_ref().is_some_and(|path| state.whiteouts.contains(path));
        let mut white = Whitening::default();
        let (made, opaque) = self.change(&mut state, Some(0), |lift, tree| {
            let directory = Self::folder(lift, tree, &place)?;
            if let Some(path) = &path {
                lift.forget(tree, Gone::Within(path.clone()))?;
                white.remove(tree.store, &lift.state.whiteouts, path)?;
            }
            let made = make(tree, directory)?;
            if let (Some(path), true) = (&path, takes_place) {
                self.takes_place(tree, made.ino, path, None)?;
            }
            let opaque = match &path {
                Some(path) if is_directory => self.close_off(lift.state, tree, made.ino, None, path, &mut white)?,
                _ => false,
            };
            Ok((made, opaque))
        })?;
        state.whiteouts.apply(white);
        if opaque {
            state.opaque.insert(made.ino);
        }
        Ok(made)
    }

    /// Gives a file of the database its first name.
    pub(super) fn put(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<()> {
        names::new_name(name)?;
        self.keep_if_open(parent, name)?;
        let mut state = self.state();
        let place = self.place(&state, parent)?;
        let replaced = self.find(&state, &place, name)?;
        if replaced.as_ref().is_some_and(|replaced| replaced.attr.kind == Kind::Directory) {
            return Err(Error::Errno(libc::EISDIR));
        }
        self.refuse_hidden(&place, name)?;
        let path = self.path_in_the_base(&state, &place, name)?;
        let mut white = Whitening::default();
        self.change(&mut state, Some(0), |lift, tree| {
            let directory = Self::folder(lift, tree, &place)?;
            if let Some(path) = &path {
                if replaced.is_some() || lift.state.whiteouts.contains(path) {
                    self.takes_place(tree, ino, path, replaced.as_ref())?;
                }
                white.remove(tree.store, &lift.state.whiteouts, path)?;
            }
            tree.publish(ino, directory, name)
        })?;
        state.whiteouts.apply(white);
        if let Some(replaced) = &replaced {
            Self::lost_its_name(&mut state, replaced);
        }
        Ok(())
    }

    /// A folder that comes to a path where the base has one, too: nothing of that shows. `content` is the folder of
    /// the database whose entries it has, or will have.
    pub(super) fn close_off(
        &self,
        state: &State,
        tree: &mut Tree<'_>,
        ino: Ino,
        content: Option<Ino>,
        path: &Path,
        white: &mut Whitening,
    ) -> Result<bool> {
        if self.base.stat(path)?.is_none_or(|stat| stat.id.kind != Kind::Directory) {
            return Ok(false);
        }
        tree.store.execute("INSERT OR IGNORE INTO nixbox_opaque (ino) VALUES (?)", &[ino.into()])?;
        cover(self, tree, content, path, &mut |tree, below| white.add(tree.store, &state.whiteouts, below))?;
        Ok(true)
    }

    pub(super) fn link_to(&self, ino: Ino, parent: Ino, name: &OsStr) -> Result<Attr> {
        names::new_name(name)?;
        {
            let state = self.state();
            let place = self.place(&state, parent)?;
            if self.find(&state, &place, name)?.is_some() {
                return Err(Error::Errno(libc::EEXIST));
            }
            self.refuse_hidden(&place, name)?;
            if self.attr(&state, ino)?.0.kind == Kind::Directory {
                return Err(Error::Errno(libc::EPERM));
            }
        }
        let delta = self.risen(ino, ALL)?;
        self.make(parent, name, false, |tree, directory| {
            let attr = tree.link(delta, directory, name)?;
            // The reference is counted below, under the number that it has outside.
            tree.memory.forget(delta, 1);
            Ok(attr)
        })?;
        let mut state = self.state();
        let place = self.place(&state, parent)?;
        let found = self.find(&state, &place, name)?.ok_or(Error::Errno(libc::ENOENT))?;
        self.refer(&mut state, &place, &found);
        Ok(found.attr)
    }

    pub(super) fn remove(&self, parent: Ino, name: &OsStr, is_rmdir: bool) -> Result<()> {
        self.keep_if_open(parent, name)?;
        let mut state = self.state();
        let place = self.place(&state, parent)?;
        let found = self.find(&state, &place, name)?.ok_or(Error::Errno(libc::ENOENT))?;
        match (is_rmdir, found.attr.kind == Kind::Directory) {
            (false, true) => return Err(Error::Errno(libc::EISDIR)),
            (true, false) => return Err(Error::Errno(libc::ENOTDIR)),
            (true, true) => self.must_be_empty(&state, &found)?,
            (false, false) => {}
        }
        let path = self.path_in_the_base(&state, &place, name)?;
        let covers = self.covers(path.as_ref())?;
        let mut white = Whitening::default();
        self.change(&mut state, None, |lift, tree| {
            let directory = Self::folder(lift, tree, &place)?;
            if let Some(path) = &path {
                lift.forget(tree, Gone::Within(path.clone()))?;
            }
            if let (true, Some(path)) = (covers, &path) {
                white.add(tree.store, &lift.state.whiteouts, path)?;
            }
            match found.delta {
                Some(_) if is_rmdir => tree.rmdir(directory, name),
                Some(_) => tree.unlink(directory, name),
                None => tree.touch_directory(directory),
            }
        })?;
        state.whiteouts.apply(white);
        Self::lost_its_name(&mut state, &found);
        Ok(())
    }

    /// A file of the base that a program has open goes on without a name, and may be written to: from here on that is
    /// the database's business.
    pub(super) fn keep_if_open(&self, parent: Ino, name: &OsStr) -> Result<()> {
        let open = {
            let state = self.state();
            let place = self.place(&state, parent)?;
            let found = self.find(&state, &place, name)?.filter(|found| found.attr.kind == Kind::File);
            found
                .map(|found| found.attr.ino)
                .filter(|number| state.nodes.get(*number).is_some_and(|node| node.opens > 0 && node.delta.is_none()))
        };
        match open {
            Some(number) => self.risen(number, ALL).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn lost_its_name(state: &mut State, found: &Found) {
        let number = found.attr.ino;
        if let Some(node) = state.nodes.get_mut(number)
            && (node.kind == Kind::Directory || node.delta.is_none())
        {
            node.ghost = node.delta.is_none().then_some(Attr { nlink: 0, ..found.attr });
            state.nodes.place(number, None);
        }
    }
}
