//! A configuration file that a person has written, changed as that person would: one key, everything else as it stands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use nixbox_config::{Project, Sources, in_store, load};
use nixbox_report::{Failure, Report, codes};
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

use crate::context::{Context, io_failure};

/// A changed copy beside the file, until it takes its place. Gone where it never does.
pub struct Changed {
    /// With symbolic links resolved.
    file: PathBuf,
    copy: PathBuf,
    put: bool,
}

impl Changed {
    /// `instance` is synced with `remote`, or with none. `line`: what to write where this cannot.
    pub fn sync(project: &Project, instance: &str, remote: Option<&str>, context: &Context) -> Result<Self, Report> {
        let file = fs::canonicalize(&project.file).map_err(|error| io_failure("read", &project.file, error))?;
        let help = advice(&project.file, instance, remote);
        let not_ours = |why: &str| {
            Report::from(
                Failure::new(&codes::CONFIG_NOT_WRITTEN, format!("{} cannot be changed here", project.file.display()))
                    .why(why)
                    .help(help.clone()),
            )
        };
        if in_store(&file) {
            return Err(not_ours("Nix has made it, and makes it again"));
        }
        let folder = file.parent().unwrap_or(Path::new("/"));
        if [file.as_path(), folder].into_iter().any(|path| access(path, AccessFlags::W_OK).is_err()) {
            return Err(not_ours("this user may not write it"));
        }
        let text = fs::read_to_string(&file).map_err(|error| io_failure("read", &file, error))?;
        let Some(text) = with_sync(&text, instance, remote) else {
            return Err(not_ours("it is written in a way that is not understood here"));
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let copy = folder.join(format!(".{}.{name}", std::process::id()));
        let changed = Self { file, copy, put: false };
        changed.write(&text).map_err(|error| io_failure("write", &changed.copy, error))?;
        let now = load(&Sources { config: Some(changed.copy.clone()), ..changed.sources(project, context)? })?.project;
        // It must say that and nothing else, whatever way it was written in.
        let mut wanted = project.clone();
        wanted.file.clone_from(&now.file);
        match (wanted.instances.get_mut(instance), now.instances.get(instance)) {
            (Some(wanted), Some(now)) if now.remote() == remote => {
                wanted.sync.clone_from(&now.sync);
                wanted.partial.clone_from(&now.partial);
            }
            _ => return Err(not_ours("the change would not mean what it should")),
        }
        if wanted != now {
            return Err(not_ours("the change would mean more than it should"));
        }
        Ok(changed)
    }

    /// What makes another program see the project as it will be.
    pub fn words(&self, project: &Project) -> Vec<std::ffi::OsString> {
        let folder = |option: &str, path: &Path| [option.into(), path.as_os_str().to_owned()];
        let config = folder("--config", &self.copy);
        let (root, data) = (folder("--root", &project.root), folder("--data-dir", &project.data_dir));
        [config, root, data].concat()
    }

    /// From here on it is the file.
    pub fn put(mut self) -> Result<(), Report> {
        let renamed = fs::rename(&self.copy, &self.file)
            .and_then(|()| fs::File::open(self.file.parent().unwrap_or(Path::new("/")))?.sync_all());
        renamed.map_err(|error| io_failure("write", &self.file, error))?;
        self.put = true;
        Ok(())
    }

    fn sources(&self, project: &Project, context: &Context) -> Result<Sources, Report> {
        let mut sources = context.sources()?;
        // The environment speaks of the file, and not of the copy.
        (sources.root, sources.data_dir) = (Some(project.root.clone()), Some(project.data_dir.clone()));
        sources.log_level = Some(project.log_level);
        Ok(sources)
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let mode = fs::metadata(&self.file)?.permissions().mode();
        nixbox_state::write_atomic(&self.copy, text.as_bytes(), mode & 0o7777)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if !self.put {
            let _ = fs::remove_file(&self.copy);
        }
    }
}

fn advice(file: &Path, instance: &str, remote: Option<&str>) -> String {
    let file = file.display();
    match remote {
        Some(remote) => format!(
            "write `sync.remote = \"{remote}\"` into [instances.{instance}] yourself (in Nix \
             `services.agentfs.instances.{instance}.sync.remote = \"{remote}\";`), then run this again; {file} is as it was"
        ),
        None => format!("take `sync` out of [instances.{instance}] yourself, where {file} is made"),
    }
}

/// None where the instance has no table that could be changed.
fn with_sync(text: &str, instance: &str, remote: Option<&str>) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let table = document.get_mut("instances")?.as_table_like_mut()?.get_mut(instance)?;
    match (table, remote) {
        (Item::Table(table), Some(remote)) => {
            let mut sync = Table::new();
            sync.set_dotted(true);
            sync.insert("remote", value(remote));
            table.insert("sync", Item::Table(sync));
        }
        (item, Some(remote)) => {
            let mut sync = InlineTable::new();
            sync.insert("remote", remote.into());
            item.as_table_like_mut()?.insert("sync", value(sync));
        }
        (item, None) => drop(item.as_table_like_mut()?.remove("sync")),
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_key_comes_and_goes_and_all_else_stays() {
        let texts = [
            "# mine\nversion = 1\n\n[instances.a] # the first\nbase = \".\"   # here\n\n# and b\n[instances.b]\n",
            "version = 1\n[instances.a]\n[instances.a.mount]\npath = \"m\"\n",
            "version = 1\n[instances]\na = { base = \".\" }\nb.base = \"x\"\n",
            "version = 1\ninstances.a.base = \".\"\n",
        ];
        for text in texts {
            let with = with_sync(text, "a", Some("team")).unwrap();
            let document: DocumentMut = with.parse().unwrap();
            assert_eq!(document["instances"]["a"]["sync"]["remote"].as_str(), Some("team"), "{with}");
            let without = with_sync(&with, "a", None).unwrap();
            assert_eq!(without.replace(' ', ""), text.replace(' ', ""), "{with}");
        }
        let with = with_sync(texts[0], "a", Some("team")).unwrap();
        assert_eq!(with, texts[0].replace("# here\n", "# here\nsync.remote = \"team\"\n"));
        assert_eq!(with_sync(texts[0], "c", Some("team")), None);
    }
}
