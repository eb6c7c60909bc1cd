//! `fsck FILE` and `migrate FILE`: what is done with a database while nobody has it open. Nothing is served, and the
//! configuration is read only for a key: the caller says which file, which lock and where a copy goes.

use std::io::Write;
use std::path::Path;

use nixbox_control::{Checked, Finding, Migrated};
use nixbox_engine::{Backing, cipher_of};
use nixbox_report::{Failure, Report, codes};
use nixbox_state::{Lock, LockError};
use serde::Serialize;

use crate::args::{Kept, Target};
use crate::failure;
use crate::held;
use crate::key;
use crate::moment;
use crate::plan::Plan;

pub(crate) fn fsck(kept: &Kept) -> Result<(), Report> {
    let _lock = hold(kept)?;
    let backing = backing(kept)?;
    let checked = match &kept.backup {
        Some(copy) => nixbox_engine::repair(&kept.file, &backing, copy),
        None => nixbox_engine::check(&kept.file, &backing),
    };
    let checked = checked.map_err(|error| failure::database(&kept.file, error))?;
    let told = |findings: Vec<nixbox_engine::Finding>| findings.into_iter().map(told).collect();
    say(&Checked { found: told(checked.found), left: told(checked.left), backup: checked.backup })
}

pub(crate) fn migrate(kept: &Kept) -> Result<(), Report> {
    let _lock = hold(kept)?;
    let migrated = nixbox_engine::migrate(&kept.file, &backing(kept)?, kept.backup.as_deref());
    let migrated = migrated.map_err(|error| failure::database(&kept.file, error))?;
    say(&Migrated {
        from: migrated.from.into(),
        to: migrated.to.into(),
        steps: migrated.steps,
        backup: migrated.backup,
    })
}

/// The key is read only where there is one to be used.
fn backing(kept: &Kept) -> Result<Backing, Report> {
    let cipher = cipher_of(&kept.file).map_err(|error| failure::database(&kept.file, error))?;
    match (cipher, &kept.key_of) {
        (None, _) => Ok(Backing::Sqlite),
        (Some(_), Some(name)) => {
            let plan = Plan::read(&Target { name: name.clone(), project: kept.project.clone() })?;
            key::backing(&plan.instance, &plan.root)
        }
        (Some(_), None) => {
            Err(Failure::new(&codes::DATABASE_ENCRYPTED, format!("{} is encrypted", kept.file.display()))
                .why("only an instance says where its key is")
                .help("name the instance in place of the file")
                .into())
        }
    }
}

fn told(finding: nixbox_engine::Finding) -> Finding {
    let nixbox_engine::Finding { code, what, count, places, fix } = finding;
    Finding { code: code.into(), what, count, places, fix: fix.map(Into::into) }
}

/// Against an owner of ours; other programs are found by their locks on the file itself.
fn hold(kept: &Kept) -> Result<Option<Lock>, Report> {
    if !kept.file.exists() {
        return Err(Failure::new(&codes::DATABASE_MISSING, format!("{} does not exist", kept.file.display()))
            .why("there is nothing to look at")
            .help("name an instance, or the file of a database")
            .into());
    }
    let Some(path) = &kept.lock else { return Ok(None) };
    let folder = path.parent().unwrap_or(Path::new("."));
    match &kept.backup {
        Some(_) => std::fs::create_dir_all(folder).map_err(|error| failure::io(folder, &error))?,
        // Whoever serves it has made that folder; to look is no reason to.
        None if !folder.is_dir() => return Ok(None),
        None => {}
    }
    let name = kept.file.file_stem().unwrap_or_default().to_string_lossy();
    match held::take_at(path, moment::now(), None) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held(holder)) => Err(held::by(&name, holder.as_ref()).into()),
        // A folder in which nothing can be written holds no lock of a living owner but a readable one.
        Err(LockError::Io { .. }) if kept.backup.is_none() => match Lock::live_holder(path) {
            Some(holder) => Err(held::by(&name, Some(&holder)).into()),
            None => Ok(None),
        },
        Err(LockError::Io { path, source }) => Err(failure::io(&path, &source).into()),
    }
}

fn say(answer: &impl Serialize) -> Result<(), Report> {
    let mut line = serde_json::to_vec(answer).map_err(std::io::Error::other)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    Ok(out.write_all(&line).and_then(|()| out.flush())?)
}
