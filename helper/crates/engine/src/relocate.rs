//! A database's base has moved: where it is from now on. Nothing is written before everything has been looked at.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::database::{check_key, resolve, sync_folder};
use crate::error::{Error, Result};
use crate::filesystem::{Ino, Kind, ROOT};
use crate::overlay::Base;
use crate::probe::{self, Found, OpenHere};
use crate::schema::{self, Ask, Over};
use crate::store::{self, Backing, Guest};

/// What was found of what had been copied up, by the path that it has in the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocated {
    pub from: PathBuf,
    pub to: PathBuf,
    /// Entries that were copied out of the base.
    pub origins: u64,
    /// Of those, how many the folder does not have as they were: changed since, moved in the view, or another project's.
    pub differing: u64,
}

/// The base that a database has on record. Changes nothing.
pub fn recorded_base(path: &Path, backing: &Backing) -> Result<PathBuf> {
    let path = resolve(path)?;
    let mut guest = visit(&path, backing)?;
    let recorded = recognised(&path, &mut |sql, args, each| guest.query(sql, args, each));
    guest.leave();
    recorded
}

/// `anyway`: also where nothing at all is found of what had been copied up.
pub fn relocate(path: &Path, backing: &Backing, to: &Path, anyway: bool) -> Result<Relocated> {
    let base = Base::open(to)?;
    let text = base.path().to_str().ok_or_else(|| Error::BaseMissing {
        base: to.to_owned(),
        source: std::io::Error::other("the format holds UTF-8 paths only"),
    })?;
    let path = resolve(path)?;
    let mut guest = visit(&path, backing)?;
    let _open_here = OpenHere::claim(&path)?;
    let looked = recognised(&path, &mut |sql, args, each| guest.query(sql, args, each)).and_then(|from| {
        let mut survey = Survey { base: &base, origins: 0, differing: 0 };
        survey.take(&mut |sql, args, each| guest.query(sql, args, each))?;
        match survey {
            Survey { origins, differing, .. } if origins > 0 && origins == differing && !anyway => {
                Err(Error::BaseAnother { base: base.path().to_owned(), origins })
            }
            Survey { origins, differing, .. } => Ok(Relocated { from, to: base.path().to_owned(), origins, differing }),
        }
    });
    let relocated = match looked {
        Ok(relocated) => relocated,
        Err(error) => {
            guest.leave();
            return Err(error);
        }
    };
    let mut store = guest.stay()?;
    store.execute("UPDATE fs_overlay_config SET value = ? WHERE key = 'base_path'", &[text.into()])?;
    store.disk().sync()?;
    store.close()?;
    sync_folder(&path)?;
    Ok(relocated)
}

fn visit(path: &Path, backing: &Backing) -> Result<Box<dyn Guest>> {
    let found = probe::look(path)?;
    check_key(path, found, backing)?;
    match found {
        Found::New => Err(Error::NotAgentFs { path: path.to_owned(), reason: "there is none".into() }),
        _ => store::visit(path, backing),
    }
}

fn recognised(path: &Path, ask: Ask<'_>) -> Result<PathBuf> {
    schema::recognise(path, Over::Any, ask)?;
    schema::recorded_base(ask)?.ok_or_else(|| Error::NoBase { path: path.to_owned() })
}

/// How much of what was copied out of the old base the new one has.
struct Survey<'a> {
    base: &'a Base,
    origins: u64,
    differing: u64,
}

struct Origin {
    path: PathBuf,
    is_folder: bool,
    size: u64,
    mtime: (i64, i64),
    hash: Option<String>,
}

impl Survey<'_> {
    fn take(&mut self, ask: Ask<'_>) -> Result<()> {
        let ours =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('nixbox_origin', 'nixbox_replaced')";
        if schema::names(ask, ours)?.len() < 2 {
            return Ok(());
        }
        // A damaged database may have a folder in itself.
        let mut known = HashSet::from([ROOT]);
        let mut folders = vec![(ROOT, PathBuf::new())];
        while let Some((folder, path)) = folders.pop() {
            let mut origins = Vec::new();
            // What was copied up on another machine is on record as a replacement.
            let sql = "SELECT d.name, d.ino, i.mode, coalesce(o.size, r.size), coalesce(o.mtime, r.mtime), \
                       coalesce(o.mtime_nsec, r.mtime_nsec), CASE WHEN o.ino IS NULL THEN r.hash ELSE o.hash END \
                       FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino LEFT JOIN nixbox_origin o ON o.ino = d.ino \
                       LEFT JOIN nixbox_replaced r ON r.ino = d.ino WHERE d.parent_ino = ?";
            ask(sql, &[folder.into()], &mut |row| {
                let (path, ino) = (path.join(row.text(0)?), row.int(1)? as Ino);
                let is_folder = row.int(2)? as u32 & libc::S_IFMT == libc::S_IFDIR;
                if is_folder && known.insert(ino) {
                    folders.push((ino, path.clone()));
                }
                if !row.is_null(3) {
                    let hash = if row.is_null(6) { None } else { Some(row.text(6)?.to_owned()) };
                    let mtime = (row.int(4)?, row.int(5)?);
                    origins.push(Origin { path, is_folder, size: row.int(3)? as u64, mtime, hash });
                }
                Ok(())
            })?;
            for origin in origins {
                self.origins += 1;
                self.differing += u64::from(!self.is_found(&origin)?);
            }
        }
        Ok(())
    }

    /// A copy, such as a clone, has the content and other times.
    fn is_found(&self, origin: &Origin) -> Result<bool> {
        let Some(stat) = self.base.stat(&origin.path)? else { return Ok(false) };
        if origin.is_folder || stat.id.kind == Kind::Directory {
            return Ok(origin.is_folder && stat.id.kind == Kind::Directory);
        }
        let attr = &stat.attr;
        if attr.size != origin.size {
            return Ok(false);
        }
        if (attr.mtime.sec, i64::from(attr.mtime.nsec)) == origin.mtime {
            return Ok(true);
        }
        match &origin.hash {
            Some(hash) if stat.id.kind == Kind::File => Ok(self.base.hash(&origin.path)?.to_hex().as_str() == hash),
            _ => Ok(false),
        }
    }
}
