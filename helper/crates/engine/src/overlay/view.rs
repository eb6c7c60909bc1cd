//! Finding what is seen at a name: the database's entry, else the base's unless it is gone or hidden.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::base::{Stat, Version};
use super::nodes::Below;
use super::{Overlay, State};
use crate::error::{Error, Result};
use crate::files::names;
use crate::filesystem::{Attr, Entry, Ino, Kind, ROOT};
use crate::listing::{Listing, Name};
use crate::store::first;

/// A folder in both layers, as far as each has a share in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub delta: Option<Ino>,
    /// Its path in the base.
    pub base: Option<Arc<std::path::Path>>,
}

impl Place {
    /// Where the base would have an entry of that name.
    pub fn below(&self, name: &OsStr) -> Option<PathBuf> {
        self.base.as_ref().map(|base| base.join(name))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Found {
    /// With the number that it has outside.
    pub attr: Attr,
    pub delta: Option<Ino>,
    pub below: Option<Below>,
    /// Of what is the base's alone.
    pub version: Option<Version>,
}

impl Overlay {
    pub(super) fn place(&self, state: &State, directory: Ino) -> Result<Place> {
        let Some(node) = state.nodes.get(directory) else { return Ok(Place { delta: Some(directory), base: None }) };
        if node.kind != Kind::Directory {
            return Err(Error::Errno(libc::ENOTDIR));
        }
        if node.delta.is_none() && node.below.is_none() {
            return Err(Error::Errno(libc::ENOENT));
        }
        Ok(Place { delta: node.delta, base: node.below.as_ref().map(|below| below.path.clone()) })
    }

    pub(super) fn find(&self, state: &State, place: &Place, name: &OsStr) -> Result<Option<Found>> {
        let known = names::known_name(name)?;
        if matches!(name.as_encoded_bytes(), b"" | b"." | b"..") || name.as_encoded_bytes().contains(&b'/') {
            return Ok(None);
        }
        let path = place.below(name);
        if path.as_ref().is_some_and(|path| self.hidden.hides(path)) {
            return Ok(None);
        }
        if let (Some(directory), Some(name)) = (place.delta, known)
            && let Some(attr) = self.files.read_tree(|tree| tree.child(directory, name))?
        {
            let below = self.share_of_the_base(state, &attr, path)?;
            return Ok(Some(self.of_delta(state, attr, below)));
        }
        let Some(path) = path.filter(|path| !state.whiteouts.contains(path)) else { return Ok(None) };
        Ok(self.base.stat(&path)?.map(|stat| of_base(state, path.into(), &stat)))
    }

    /// `find` of some names of a listing.
    pub(super) fn find_all(
        &self,
        state: &State,
        place: &Place,
        listing: &Listing,
        some: &Range<usize>,
    ) -> Result<Vec<Option<Found>>> {
        let names = listing.of(some);
        let in_delta = match place.delta {
            Some(directory) => self.files.read_tree(|tree| tree.children(directory, listing, some))?,
            None => vec![None; names.len()],
        };
        let folder = place.base.as_ref().and_then(|base| self.base.inside(base));
        let seen = |(Name { name, .. }, attr): (&Name, Option<Attr>)| {
            let path = place.below(name);
            if path.as_ref().is_some_and(|path| self.hidden.hides(path)) {
                return Ok(None);
            }
            if let Some(attr) = attr {
                let below = self.share_of_the_base(state, &attr, path)?;
                return Ok(Some(self.of_delta(state, attr, below)));
            }
            let (Some(path), Some(folder)) = (path.filter(|path| !state.whiteouts.contains(path)), &folder) else {
                return Ok(None);
            };
            Ok(folder.stat(name).map(|stat| of_base(state, path.into(), &stat)))
        };
        names.iter().zip(in_delta).map(seen).collect()
    }

    /// The folder of the base whose entries show in one of the database.
    fn share_of_the_base(&self, state: &State, attr: &Attr, path: Option<PathBuf>) -> Result<Option<Below>> {
        let Some(path) = path.filter(|_| attr.kind == Kind::Directory && !state.opaque.contains(&attr.ino)) else {
            return Ok(None);
        };
        let stat = self.base.stat(&path)?.filter(|stat| stat.id.kind == Kind::Directory);
        Ok(stat.map(|stat| Below { path: path.into(), id: stat.id, linked: false }))
    }

    fn of_delta(&self, state: &State, attr: Attr, below: Option<Below>) -> Found {
        let delta = Some(attr.ino);
        let number = state.nodes.shown(attr.ino);
        Found { attr: shape(attr, number, below.is_some()), delta, below, version: None }
    }

    /// The names in a folder that are seen. Of the base nothing is looked at but its list of them.
    pub(super) fn names(&self, state: &State, place: &Place) -> Result<Listing> {
        let mut listing = match place.delta {
            Some(directory) => self.files.read_tree(|tree| tree.list(directory))?,
            None => Listing::default(),
        };
        for name in &mut listing.names {
            name.ino = state.nodes.shown(name.ino);
        }
        let Some(base) = &place.base else { return Ok(listing) };
        let is_hidden = |name: &Name| self.hidden.hides(&base.join(&name.name));
        listing.names.retain(|name| !is_hidden(name));
        let wanted = |name: &OsStr| {
            let path = base.join(name);
            !self.hidden.hides(&path) && !state.whiteouts.contains(&path)
        };
        let above: HashSet<_> = listing.names.iter().map(|name| name.name.clone()).collect();
        let below = match self.base.identities(base, |name| !above.contains(name) && wanted(name)) {
            Ok(below) => below,
            // Taken away underneath; what the database has of the folder is still there.
            Err(Error::Errno(libc::ENOENT | libc::ENOTDIR)) if place.delta.is_some() => Vec::new(),
            Err(error) => return Err(error),
        };
        for (name, id) in below {
            let ino = state.nodes.number(&base.join(&name), &id);
            listing.names.push(Name { name, ino, kind: id.kind, attr: None });
        }
        listing.names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Everything in a folder that is seen, sorted by nothing.
    pub(super) fn entries(&self, state: &State, place: &Place) -> Result<Vec<(OsString, Found)>> {
        let mut found = Vec::new();
        let mut names = HashSet::new();
        if let Some(directory) = place.delta {
            for Entry { name, attr } in self.files.read_tree(|tree| tree.entries(directory))? {
                let path = place.below(&name);
                if path.as_ref().is_some_and(|path| self.hidden.hides(path)) {
                    continue;
                }
                let below = self.share_of_the_base(state, &attr, path)?;
                let entry = self.of_delta(state, attr, below);
                if place.base.is_some() {
                    names.insert(name.clone());
                }
                found.push((name, entry));
            }
        }
        let Some(base) = &place.base else { return Ok(found) };
        let wanted = |name: &OsStr| {
            let path = base.join(name);
            !names.contains(name) && !self.hidden.hides(&path) && !state.whiteouts.contains(&path)
        };
        let below = match self.base.list(base, wanted) {
            Ok(below) => below,
            // Taken away underneath; what the database has of the folder is still there.
            Err(Error::Errno(libc::ENOENT | libc::ENOTDIR)) if place.delta.is_some() => Vec::new(),
            Err(error) => return Err(error),
        };
        for (name, stat) in below {
            let path = base.join(&name);
            found.push((name, of_base(state, path.into(), &stat)));
        }
        Ok(found)
    }

    pub(super) fn must_be_empty(&self, state: &State, found: &Found) -> Result<()> {
        let place = Place { delta: found.delta, base: found.below.as_ref().map(|below| below.path.clone()) };
        if self.entries(state, &place)?.is_empty() { Ok(()) } else { Err(Error::Errno(libc::ENOTEMPTY)) }
    }

    /// Whether the base has something at a path, seen or not: taking the database's entry away would uncover it.
    pub(super) fn covers(&self, path: Option<&PathBuf>) -> Result<bool> {
        Ok(match path {
            Some(path) if !self.hidden.hides(path) => self.base.stat(path)?.is_some(),
            _ => false,
        })
    }

    /// Where upstream's programs would look in the base for a name. In an opaque folder that is another matter than what
    /// shows in it: they know whiteouts only, so each entry that comes or goes there needs its own taken away or put.
    pub(super) fn path_in_the_base(&self, state: &State, place: &Place, name: &OsStr) -> Result<Option<PathBuf>> {
        let (None, Some(directory)) = (&place.base, place.delta.filter(|_| !state.opaque.is_empty())) else {
            return Ok(place.below(name));
        };
        let above = "SELECT parent_ino, name FROM fs_dentry WHERE ino = ?";
        let (mut at, mut is_opaque, mut steps) = (directory, false, vec![name.to_owned()]);
        while at != ROOT {
            is_opaque |= state.opaque.contains(&at);
            let up = self.files.read_tree(|tree| {
                first(tree.store, above, &[at.into()], |row| Ok((row.int(0)? as Ino, OsString::from(row.text(1)?))))
            })?;
            // A folder that is removed and still open.
            let Some((parent, name)) = up else { return Ok(None) };
            steps.push(name);
            at = parent;
        }
        Ok(is_opaque.then(|| steps.iter().rev().collect()))
    }

    /// Counts a reference that the front end gets.
    pub(super) fn refer(&self, state: &mut State, place: &Place, found: &Found) {
        let Found { attr, delta, below, version } = found;
        let directory_in = place.delta.filter(|_| attr.kind == Kind::Directory);
        let plain = below.is_none() && *delta == Some(attr.ino) && state.nodes.get(attr.ino).is_none();
        let holds = plain || state.nodes.hold(attr.ino, attr.kind, *delta, below.clone());
        if let (true, Some(delta)) = (holds, delta) {
            self.files.note(|memory| memory.looked_up(*delta, directory_in));
        }
        Self::compare(state, attr.ino, *version);
        Self::relieve(state);
    }
}

fn of_base(state: &State, path: Arc<std::path::Path>, stat: &Stat) -> Found {
    let number = state.nodes.number(&path, &stat.id);
    Found {
        attr: shape(state.attrs.apply(&path, stat.attr), number, stat.id.kind == Kind::Directory),
        delta: None,
        below: Some(Below { path, id: stat.id, linked: stat.linked }),
        version: Some(stat.version()),
    }
}

/// A folder with a share of the base says one link, which stands for "not counted".
pub(super) fn shape(attr: Attr, number: Ino, shared_folder: bool) -> Attr {
    let nlink = if shared_folder && attr.kind == Kind::Directory { 1 } else { attr.nlink };
    Attr { ino: number, nlink, ..attr }
}
