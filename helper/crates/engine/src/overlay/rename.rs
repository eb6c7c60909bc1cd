//! Moving entries, also from one layer to the other. Everything is copied up first, a folder with all that is in it:
//! then the database can move it like anything else, all of it or nothing.

use std::ffi::OsStr;
use std::sync::Arc;

use super::attrs::Gone;
use super::whiteouts::Whitening;
use super::{Found, Overlay, Place, State};
use crate::error::{Error, Result};
use crate::files::names;
use crate::filesystem::{Ino, Kind, Rename};

struct Move {
    from_place: Place,
    to_place: Place,
    moved: Found,
    replaced: Option<Found>,
}

impl Overlay {
    pub(super) fn move_entry(&self, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<()> {
        names::new_name(to.1)?;
        if how == Rename::Exchange {
            return self.exchange(from, to);
        }
        self.keep_if_open(to.0, to.1)?;
        let Some(Move { moved, .. }) = self.may_move(&self.state(), from, to, how)? else { return Ok(()) };
        self.lift_all(&[(from, moved)])?;
        let mut state = self.state();
        let Some(Move { from_place, to_place, moved, replaced }) = self.may_move(&state, from, to, how)? else {
            return Ok(());
        };
        let is_directory = moved.attr.kind == Kind::Directory;

        let old = self.path_in_the_base(&state, &from_place, from.1)?;
        let new = self.path_in_the_base(&state, &to_place, to.1)?;
        let uncovers = self.covers(old.as_ref())?;
        let mut white = Whitening::default();
        let share = moved.below.as_ref().map(|below| below.path.clone());
        // What has come to the base since it was copied up is little.
        let grows = share.as_ref().map(|_| 0);
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
                if !is_directory && (replaced.is_some() || lift.state.whiteouts.contains(new)) {
                    self.takes_place(tree, delta, new, replaced.as_ref())?;
                }
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

    /// Both are copied up with all that is in them; then neither covers anything but the other's former place.
    fn exchange(&self, one: (Ino, &OsStr), other: (Ino, &OsStr)) -> Result<()> {
        let Some([(_, found), (_, other_found)]) = self.may_exchange(&self.state(), one, other)? else { return Ok(()) };
        self.lift_all(&[(one, found), (other, other_found)])?;
        let mut state = self.state();
        let Some(both) = self.may_exchange(&state, one, other)? else { return Ok(()) };
        let mut paths = Vec::new();
        for ((place, _), (_, name)) in both.iter().zip([one, other]) {
            paths.push(self.path_in_the_base(&state, place, name)?);
        }
        let shares = both.each_ref().map(|(_, found)| found.below.as_ref().map(|below| below.path.clone()));
        let mut white = Whitening::default();
        // What has come to the base since they were copied up is little.
        let opaque = self.change(&mut state, Some(0), |lift, tree| {
            let mut lifted = Vec::new();
            for ((place, found), share) in both.iter().zip(&shares) {
                let directory = Self::folder(lift, tree, place)?;
                let delta = match share {
                    Some(path) => lift.all(tree, directory, path)?,
                    None => found.delta.ok_or(Error::Errno(libc::ENOENT))?,
                };
                lifted.push((directory, delta));
            }
            for path in paths.iter().flatten() {
                lift.forget(tree, Gone::Within(path.clone()))?;
                white.remove(tree.store, &lift.state.whiteouts, path)?;
            }
            let mut opaque = Vec::new();
            for (index, path) in paths.iter().enumerate() {
                let ((_, moved), delta) = (&both[1 - index], lifted[1 - index].1);
                if let (Kind::Directory, Some(path)) = (moved.attr.kind, path)
                    && self.close_off(lift.state, tree, delta, Some(delta), path, &mut white)?
                {
                    opaque.push(delta);
                }
            }
            let mut stood_for = Vec::new();
            for (path, (_, found)) in paths.iter().zip(&both) {
                stood_for.push(match path {
                    Some(path) => self.stood_for(tree, path, Some(found))?,
                    None => None,
                });
            }
            for (index, path) in paths.iter().enumerate() {
                let ((_, moved), delta) = (&both[1 - index], lifted[1 - index].1);
                if let (Some(path), Some(origin)) = (path, &stood_for[index])
                    && moved.attr.kind != Kind::Directory
                {
                    origin.note(tree, delta, path)?;
                }
            }
            tree.rename((lifted[0].0, one.1), (lifted[1].0, other.1), Rename::Exchange)?;
            Ok(opaque)
        })?;
        state.whiteouts.apply(white);
        state.opaque.extend(opaque);
        for share in &shares {
            Self::left_the_base(&mut state, share.as_ref());
        }
        Ok(())
    }

    /// `None` where both names mean one file already.
    fn may_exchange(
        &self,
        state: &State,
        one: (Ino, &OsStr),
        other: (Ino, &OsStr),
    ) -> Result<Option<[(Place, Found); 2]>> {
        let look = |(directory, name)| -> Result<(Place, Found)> {
            let place = self.place(state, directory)?;
            let found = self.find(state, &place, name)?.ok_or(Error::Errno(libc::ENOENT))?;
            Ok((place, found))
        };
        let both = [look(one)?, look(other)?];
        let [(place, found), (other_place, other_found)] = &both;
        for (moved, to) in [(found, other_place), (other_found, place)] {
            if moved.attr.kind == Kind::Directory && self.is_within(to, moved)? {
                return Err(Error::Errno(libc::EINVAL));
            }
        }
        Ok((found.attr.ino != other_found.attr.ino).then_some(both))
    }

    /// What is to be moved, and what gives way to it; `None` where both names mean one file already.
    fn may_move(&self, state: &State, from: (Ino, &OsStr), to: (Ino, &OsStr), how: Rename) -> Result<Option<Move>> {
        let (from_place, to_place) = (self.place(state, from.0)?, self.place(state, to.0)?);
        let moved = self.find(state, &from_place, from.1)?.ok_or(Error::Errno(libc::ENOENT))?;
        let replaced = self.find(state, &to_place, to.1)?;
        if let Some(directory) = to_place.delta {
            self.files.read_tree(|tree| tree.directory(directory))?;
        }
        if replaced.is_some() && how == Rename::NoReplace {
            return Err(Error::Errno(libc::EEXIST));
        }
        if moved.attr.kind == Kind::Directory && self.is_within(&to_place, &moved)? {
            return Err(Error::Errno(libc::EINVAL));
        }
        if let Some(replaced) = &replaced {
            if replaced.attr.ino == moved.attr.ino {
                return Ok(None);
            }
            self.may_be_replaced(state, replaced, &moved, &from_place)?;
        }
        self.refuse_hidden(&to_place, to.1)?;
        Ok(Some(Move { from_place, to_place, moved, replaced }))
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
