//! Upstream's program as the engine, and what it cannot do: said here, and not by it in the middle of a start.

use std::path::{Path, PathBuf};

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, Document, InstanceDocument, LimitsDocument, MountDocument};
use crate::origin::Origin;
use crate::paths::absolute;
use crate::project::Instance;
use crate::tree::join;
use crate::words::{Backend, Engine, Mode};

impl Resolver<'_> {
    pub(super) fn agentfs_program(&mut self, document: &Document) -> Option<PathBuf> {
        let written = self.readable_path("agentfs_program", document.agentfs_program.as_ref());
        let spoken = self.sources.environment.get("NIXBOX_AGENTFS").filter(|_| self.located.environment_is_ours);
        let found = match spoken.filter(|path| !path.is_empty()) {
            Some(path) => Some((absolute(&self.located.root, Path::new(path)), Origin::Environment("NIXBOX_AGENTFS"))),
            None => written,
        };
        let (program, origin) = found.map_or((None, Origin::Default), |(path, origin)| (Some(path), origin));
        self.setting(|| ("agentfs_program", program.as_ref().map(|path| path.display().to_string())), origin);
        program
    }

    pub(super) fn engine_has_it_all(&self, key: &str, written: &InstanceDocument, instance: &Instance) {
        let Some(engine) = written.engine.as_ref().filter(|at| at.value == Engine::Agentfs) else { return };
        let nothing = MountDocument::default();
        let mount = written.mount.as_ref().map_or(&nothing, |at| &at.value);
        let lacks = |line: usize, below: &[&str], what: &str| {
            let key = below.iter().fold(key.to_owned(), |path, part| join(&path, part));
            let failure = Failure::new(&codes::CONFIG_ENGINE, format!("`engine = \"agentfs\"` {what}"));
            self.problems.at(line, &key, failure.help("leave it out, or set `engine = \"builtin\"`"));
        };
        if let Some(at) = written.exclude.first() {
            lacks(at.line, &["exclude"], "shows all of its base");
        }
        if let Some(at) = written.mode.as_ref().filter(|at| at.value != Mode::Overlay) {
            lacks(at.line, &["mode"], "keeps changes in the database, and nowhere else");
        }
        let bounded = |at: &&At<LimitsDocument>| at.value.size.is_some() || at.value.files.is_some();
        if let Some(at) = written.limits.as_ref().filter(bounded) {
            lacks(at.line, &["limits"], "knows no limits to what it holds");
        }
        if let Some(at) = &written.encryption {
            lacks(at.line, &["encryption"], "mounts no encrypted database");
        }
        if let Some(at) = mount.read_only.as_ref().filter(|at| at.value) {
            lacks(at.line, &["mount", "read_only"], "cannot refuse writes");
        }
        for (name, at) in [("uid", &mount.uid), ("gid", &mount.gid)] {
            if let Some(at) = at {
                lacks(at.line, &["mount", name], "shows files as whose they are, whatever it is told");
            }
        }
        if let Some(at) = mount.backend.as_ref().filter(|at| at.value == Backend::Nfs) {
            lacks(at.line, &["mount", "backend"], "is mounted by FUSE here");
        }
        let nfs_line = written.nfs.as_ref().map_or(engine.line, |at| at.line);
        match (&instance.mount, &instance.nfs) {
            (Some(_), Some(_)) => {
                lacks(nfs_line, &["nfs"], "lets nobody else at the database: it is mounted, or served over NFS");
            }
            (None, None) => lacks(engine.line, &["engine"], "has nothing to do: it mounts, or serves NFS"),
            (None, Some(nfs)) if nfs.port == 0 => {
                lacks(nfs_line, &["nfs", "port"], "does not say which port it was given, so it has to be told one");
            }
            _ => {}
        }
    }
}
