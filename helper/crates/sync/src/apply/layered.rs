//! A target that is a layer over a base: what is put into it shows in the place of what the base has.

use std::ffi::OsStr;

use nixbox_engine::{Attr, Error as Engine, Ino, Kind};

use super::{Layer, News, Target};
use crate::error::{Error, Result};
use crate::layer;
use crate::look::{Look, Sort, What};
use crate::source::Source;

impl Target<'_> {
    /// Whatever of the base's is in the way is hidden before, and what is put there then shows in its place.
    pub(super) fn put_layer(
        &self,
        layer: &Layer<'_>,
        path: &str,
        look: &Look,
        before: Option<&Look>,
        source: &Source<'_>,
    ) -> Result<()> {
        let there = match self.find(path) {
            Ok((parent, name, there)) => there.map(|there| (parent, name, there)),
            // Of a folder that this base does not have, something may be gone all the same.
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => None,
            Err(error) => return Err(error),
        };
        let is_folder = |attr: &Attr| attr.kind == Kind::Directory;
        match look.sort() {
            Sort::Gone => self.hide(layer, path, there.as_ref().map(|(parent, name, attr)| (*parent, *name, attr))),
            Sort::Touched => {
                let Some(said) = layer::touched(look) else { return Ok(()) };
                layer.delta.set_touched(path, &said)?;
                if let Some((parent, name, attr)) = there {
                    self.told_of(parent, name, Some(attr.ino));
                }
                Ok(())
            }
            Sort::Folder => {
                match &there {
                    Some((_, _, attr)) if is_folder(attr) => layer.delta.raise(attr.ino)?,
                    Some((parent, name, attr)) => self.hide(layer, path, Some((*parent, *name, attr)))?,
                    None => {}
                }
                self.put(path, &Look { what: What::Folder, ..look.clone() }, before, source)?;
                if before.is_none_or(|before| before.what != look.what) {
                    self.told_of_all_in(path)?;
                }
                layer.delta.set_opaque(path, look.what == What::Opaque)?;
                Ok(layer.delta.set_beneath(path, layer.beneath.get(path))?)
            }
            Sort::Entry => {
                let in_the_way = |attr: &Attr| before.is_none() && (is_folder(attr) || attr.kind != Kind::File);
                if let Some((parent, name, attr)) = there.as_ref().filter(|(_, _, attr)| in_the_way(attr)) {
                    self.hide(layer, path, Some((*parent, *name, attr)))?;
                }
                if let What::Same { first } = &look.what {
                    // The other name goes on standing for what it stood for.
                    let beneath = layer.delta.replaced(first)?;
                    self.put(path, look, before, source)?;
                    return Ok(layer.delta.set_beneath(first, beneath.as_ref())?);
                }
                self.put(path, look, before, source)?;
                Ok(layer.delta.set_beneath(path, layer.beneath.get(path))?)
            }
        }
    }

    /// What shows at a path does so no more.
    pub(super) fn hide(&self, layer: &Layer<'_>, path: &str, there: Option<(Ino, &str, &Attr)>) -> Result<()> {
        if let Some((parent, name, attr)) = there {
            // A program that has it open goes on with it.
            if attr.kind != Kind::Directory {
                self.tree.unlink(parent, OsStr::new(name))?;
            }
            self.told_of(parent, name, Some(attr.ino));
        }
        Ok(layer.delta.whiten(path)?)
    }

    pub(super) fn reveal(&self, layer: &Layer<'_>, path: &str) -> Result<()> {
        let told = match self.find(path) {
            Ok((parent, name, there)) => Some((parent, name, there.map(|attr| attr.ino))),
            Err(Error::Engine(Engine::Errno(libc::ENOENT))) => None,
            Err(error) => return Err(error),
        };
        layer.delta.reveal(path).map_err(layer::moved)?;
        if let Some((parent, name, ino)) = told {
            self.told_of(parent, name, ino);
        }
        Ok(())
    }

    /// Other entries may show in a folder from here on.
    pub(super) fn told_of_all_in(&self, folder: &str) -> Result<()> {
        let folder = self.see(folder)?.ino;
        let listing = self.tree.list(folder)?;
        let entries =
            listing.names().iter().map(|entry| News::Entry(folder, entry.name.to_string_lossy().into_owned()));
        self.news.borrow_mut().extend(entries);
        Ok(())
    }
}
