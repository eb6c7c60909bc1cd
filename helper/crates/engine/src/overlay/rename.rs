//! Moving entries, also from one layer to the other. Everything is copied up first, a folder with all that is in it:
//! then the database can move it like anything else, all of it or nothing.

use std::ffi::OsStr;
use std::sync::Arc;

use super::attrs::Gone;
use super::copy_up::{ALL, Lift, SMALL};
use super::whiteouts::Whitening;
use super::{Found, Overlay, Place, State};
use crate::error::{Error, Result};
use crate::files::names;
use crate::filesystem::{Ino, Kind, Rename};

impl Overlay {
    pub(super) fn move_entry(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        names::new_name(to.1)?;
        self.keep_if_open(to.0, to.1)?;
        self.lift_large(from)?;
        let mut state = self.state();
        let (from_place, to_place) = (self.place(&state, from.0)?, self.place(&state, to.0)?);
        let moved = self.find(&state, &from_place, from.1)?.ok_or(Error::Errno(libc::ENOENT))?;
        let replaced = self.find(&state, &to_place, to.1)?;
        if let Some(directory) = to_place.delta {
            self.files.read_tree(|tree| tree.directory(directory))?;
        }
        if replaced.is_some() && how == Rename::NoReplace {
            return Err(Error::Errno(libc::EEXIST));
        }
        let is_directory = moved.attr.kind == Kind::Directory;
        if is_directory && self.is_within(&to_place, &moved)? {
            return Err(Error::Errno(libc::EINVAL));
        }
        if let Some(replaced) = &replaced {
            if replaced.attr.ino == moved.attr.ino {
                return Ok(());
            }
            self.may_be_replaced(&state, replaced, &moved, &from_place)?;
        }
        self.refuse_hidden(&to_place, to.1)?;

        let old = self.path_in_the_base(&state, &from_place, from.1)?;
        let new = self.path_in_the_base(&state, &to_place, to.1)?;
        let uncovers = self.covers(old.as_ref())?;
        let mut white = Whitening::default();
        let share = moved.below.as_ref().map(|below| below.path.clone());
        let grows = match &share {
            Some(path) => Some(Lift::new(self, &state).bytes(path)?),
            None => None,
        };
        let (delta, opaque) = self.change(&mut state, grows, |lift, tree| {
            let from_directory = Self::folder(lift, tree, &from_place)?;
            let to_directory = Self::folder(lift, tree, &to_place)?;
            let delta = match &share {
                Some(path) => lift.all(tree, from_directory, path)?,
                None => moved.delta.ok_or(Error::Errno(libc::ENOENT))?,
            };
            for path in [&old, &new].into_iter().flatten() {
                lift.forget(tree, Gone::Within(path.clone()))?;
            }
            if let (true, Some(old)) = (uncovers, &old) {
                white.add(tree.store, &lift.state.whiteouts, old)?;
            }
            let mut opaque = false;
            if let Some(new) = &new {
                white.remove(tree.store, &lift.state.whiteouts, new)?;
                if is_directory {
                    opaque = self.close_off(lift.state, tree, delta, Some(delta), new, &mut white)?;
                }
            }
            tree.rename((from_directory, from.1), (to_directory, to.1), Rename::Replace)?;
            Ok((delta, opaque))
        })?;
        state.whiteouts.apply(white);
        if opaque {
            state.opaque.insert(delta);
        }
        if let Some(replaced) = &replaced {
            Self::lost_its_name(&mut state, replaced);
        }
        Self::left_the_base(&mut state, share.as_ref());
        Ok(())
    }

    /// A large file is copied before everybody has to wait.
    fn lift_large(&self, from: (Ino, &OsStr)) -> Result<()> {
        let number = {
            let state = self.state();
            let place = self.place(&state, from.0)?;
            let found = self.find(&state, &place, from.1)?;
            let large = |found: &Found| {
                let attr = &found.attr;
                attr.kind == Kind::File && found.delta.is_none() && attr.size > SMALL
            };
            found.filter(large).map(|found| found.attr.ino).filter(|number| state.nodes.get(*number).is_some())
        };
        match number {
            Some(number) => self.risen(number, ALL).map(drop),
            None => Ok(()),
        }
    }

    fn may_be_replaced(&self, state: &State, replaced: &Found, moved: &Found, from: &Place) -> Result<()> {
        match (replaced.attr.kind == Kind::Directory, moved.attr.kind == Kind::Directory) {
            (true, _) if self.is_within(from, replaced)? => Err(Error::Errno(libc::ENOTEMPTY)),
            (true, true) => self.must_be_empty(state, replaced),
            (true, false) => Err(Error::Errno(libc::EISDIR)),
            (false, true) => Err(Error::Errno(libc::ENOTDIR)),
            (false, false) => Ok(()),
        }
    }

    /// Is the folder `place` the folder `ancestor`, or somewhere below it?
    fn is_within(&self, place: &Place, ancestor: &Found) -> Result<bool> {
        if let (Some(base), Some(below)) = (&place.base, &ancestor.below)
            && base.starts_with(&below.path)
        {
            return Ok(true);
        }
        // Were anything in it the database's, it would be the database's itself.
        match (place.delta, ancestor.delta) {
            (Some(directory), Some(ancestor)) => self.files.read_tree(|tree| tree.is_within(directory, ancestor)),
            _ => Ok(false),
        }
    }

    /// Everything that was seen of the base at a path has been copied up and moved away.
    fn left_the_base(state: &mut State, path: Option<&Arc<std::path::Path>>) {
        let Some(path) = path else { return };
        for number in state.nodes.within(path) {
            state.nodes.place(number, None);
        }
    }
}
