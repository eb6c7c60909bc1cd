//! What is meant by the verbs that work on a database while nobody has it open, and how the owner program is asked.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixbox_report::{Failure, Report, codes};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::{owner_binary, presence, select};

/// A database, by its instance or by its file.
pub struct Meant {
    /// As a person knows it: the instance's name, or the file.
    pub name: String,
    pub database: PathBuf,
    lock: PathBuf,
    /// Where copies go, and what their names begin with.
    copies: PathBuf,
    /// What tells the owner program where the key is.
    key: Vec<OsString>,
}

impl Meant {
    /// What has a slash in it, or ends in `.db`, is a file; everything else is an instance, disabled ones too.
    pub fn by(word: Option<&OsStr>, context: &Context) -> Result<Self, Report> {
        if let Some(word) = word.filter(|word| is_file(word)) {
            let database = crate::context::here()?.join(word);
            // A database of ours has its lock here, wherever it is declared.
            let folder = database.with_extension("d");
            let copies = database.with_extension("");
            let lock = folder.join("owner.lock");
            return Ok(Self { name: word.display().to_string(), database, lock, copies, key: Vec::new() });
        }
        let project = context.project()?;
        let name = word.map(|word| word.to_string_lossy());
        let instance = select::any(&project, name.as_deref())?;
        let mut key = vec!["--key-of".into(), instance.name.clone().into()];
        key.extend(context.forwarded(&project)?);
        Ok(Self {
            key,
            name: instance.name.clone(),
            database: instance.paths.db.clone(),
            lock: instance.paths.lock.clone(),
            copies: instance.paths.dir.join("backups").join(&instance.name),
        })
    }

    /// Where the database as it is goes before `verb` changes it.
    pub fn copy(&self, verb: &str) -> PathBuf {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
        let mut path = self.copies.clone().into_os_string();
        path.push(format!(".before-{verb}-{now}.db"));
        path.into()
    }

    /// Runs the owner program on it. `copy`: what makes it more than a look.
    pub fn ask<T: DeserializeOwned>(&self, verb: &str, copy: Option<&Path>) -> Result<T, Report> {
        let program = owner_binary::find()?;
        let mut command = Command::new(&program);
        command.arg(verb).arg(&self.database).args(&self.key).stdin(Stdio::null());
        if copy.is_none() || self.lock.parent().is_some_and(Path::is_dir) || !self.is_named_by_file() {
            command.arg("--lock").arg(&self.lock);
        }
        if let Some(copy) = copy {
            command.arg("--backup").arg(copy);
        }
        let done = command.output().map_err(|error| {
            Failure::new(&codes::OWNER_MISSING, format!("{} cannot be run", program.display())).why(error)
        })?;
        if !done.status.success() {
            return Err(presence::owner_failed(&self.name, done.status.code(), &String::from_utf8_lossy(&done.stderr)));
        }
        Ok(serde_json::from_slice(&done.stdout).map_err(std::io::Error::other)?)
    }

    fn is_named_by_file(&self) -> bool {
        is_file(OsStr::new(&self.name))
    }
}

fn is_file(word: &OsStr) -> bool {
    word.as_encoded_bytes().contains(&b'/') || Path::new(word).extension().is_some_and(|end| end == "db")
}
