//! What only shows when the enabled instances are compared with each other and with the folders around them.

mod schedules;
mod units;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use nixbox_report::{Code, Failure, codes};

use crate::document::Document;
use crate::env::prefix;
use crate::paths::{RealPaths, is_not_a_folder};
use crate::problems::Problems;
use crate::project::{Instance, Mount, Project};
use crate::tree::join;
use crate::words::Engine;

pub(crate) fn check(project: &Project, document: &Document, real: &mut RealPaths, problems: &Problems) {
    let mut checker = Checker { project, document, real, problems };
    checker.names();
    checker.ports();
    checker.mounts();
    checker.bases();
    checker.units();
    checker.schedules();
}

struct Checker<'a> {
    project: &'a Project,
    document: &'a Document,
    real: &'a mut RealPaths,
    problems: &'a Problems,
}

/// A mountpoint with its links resolved.
struct Point<'a> {
    real: PathBuf,
    instance: &'a Instance,
    mount: &'a Mount,
}

impl<'a> Checker<'a> {
    fn names(&self) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for instance in self.project.enabled() {
            let Some(other) = seen.insert(prefix(&instance.name), &instance.name) else { continue };
            let what = format!("{other} and {} share the variables {}…", instance.name, prefix(&instance.name));
            self.report(&codes::CONFIG_NAME_CLASH, &instance.name, &[], what, "rename one of them");
        }
        for (remote, _) in self.project.served() {
            let name = format!("remote-{remote}");
            if self.project.instances.get(&name).is_some_and(|instance| instance.enable) {
                let what =
                    format!("{name} and the remote {remote}, which is served here, share the process agentfs-{name}");
                self.report(&codes::CONFIG_NAME_CLASH, &name, &[], what, "rename one of them");
            }
        }
    }

    fn ports(&self) {
        let mut seen: HashMap<_, &String> = HashMap::new();
        for instance in self.project.enabled() {
            let http = instance.http.as_ref().map(|http| ("http", http.bind, http.port));
            let nfs = instance.nfs.as_ref().map(|nfs| ("nfs", nfs.bind, nfs.port));
            for (surface, bind, port) in [http, nfs].into_iter().flatten().filter(|(_, _, port)| *port != 0) {
                let Some(other) = seen.insert((bind, port), &instance.name) else { continue };
                let what = match *other == instance.name {
                    true => format!("{other} listens twice on {bind} port {port}"),
                    false => format!("{other} and {} both listen on {bind} port {port}", instance.name),
                };
                let help = "give each a port of its own, or 0 to have a free one picked";
                self.report(&codes::CONFIG_PORT_CLASH, &instance.name, &[surface, "port"], what, help);
            }
        }
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for (name, served) in self.project.served() {
            let Some(other) = seen.insert((loopback, served.port), name) else { continue };
            let document = self.document.remotes.get(name).and_then(|at| at.value.serve.as_ref());
            let line = document.and_then(|at| at.value.port.as_ref()).map_or(1, |at| at.line);
            let key = join(&join(&join("remotes", name), "serve"), "port");
            let what = format!("{other} and the remote {name} both listen on {loopback} port {}", served.port);
            let failure = Failure::new(&codes::CONFIG_PORT_CLASH, what);
            self.problems.at(line, &key, failure.help("give each a port of its own"));
        }
    }

    fn mounts(&mut self) {
        let project = self.project;
        let mut points: Vec<_> = project
            .enabled()
            .filter_map(|instance| {
                let mount = instance.mount.as_ref()?;
                Some(Point { real: self.real.of(&mount.path), instance, mount })
            })
            .collect();
        let (root, data_dir, runtime_dir) =
            (self.real.of(&project.root), self.real.of(&project.data_dir), self.real.of(&project.runtime_dir));
        let config_dir = project.file.parent().map(|folder| self.real.of(folder)).filter(|dir| dir.starts_with(&root));
        points.retain(|point| {
            // Most mountpoints have the longer path, which is quicker to see than what it is made of.
            let covers =
                |path: &Path| path.as_os_str().len() >= point.real.as_os_str().len() && path.starts_with(&point.real);
            let covered = if covers(&root) {
                Some("the project root")
            } else if config_dir.as_deref().is_some_and(covers) {
                Some("the configuration file")
            } else if covers(&data_dir) || self.is_own(&point.real, &data_dir) {
                Some("nixbox's own data")
            } else if covers(&runtime_dir) || self.is_own(&point.real, &runtime_dir) {
                Some("nixbox's own runtime files")
            } else {
                None
            };
            match covered {
                // Such a mount has everything inside it; to say so of each other mount would help nobody.
                Some(covered) => {
                    let what = format!("A mount at {} would cover {covered}", point.mount.path.display());
                    let help = "name a folder of its own, such as \".agentfs/mnt\"";
                    self.at_mount(&codes::CONFIG_MOUNT_COVERS, point, what, help);
                }
                None if is_not_a_folder(&point.real) => {
                    let what = format!("The mountpoint {} is not a folder", point.mount.path.display());
                    self.at_mount(&codes::CONFIG_MOUNT_IS_FILE, point, what, "remove it, or name another path");
                }
                None => {}
            }
            covered.is_none()
        });
        points.sort_by(|a, b| a.real.cmp(&b.real));
        self.overlaps(&points);
    }

    /// Sorted by path, what lies in a mount follows it directly.
    fn overlaps(&self, points: &[Point<'_>]) {
        let mut outer: Option<&Point<'_>> = None;
        for point in points {
            match outer {
                Some(above) if point.real == above.real => {
                    let what = format!("{} and {} have one mountpoint", above.instance.name, point.instance.name);
                    self.at_mount(&codes::CONFIG_MOUNT_CLASH, point, what, "give each instance a folder of its own");
                }
                Some(above) if point.real.starts_with(&above.real) => {
                    let what =
                        format!("The mountpoint of {} lies in that of {}", point.instance.name, above.instance.name);
                    self.at_mount(&codes::CONFIG_MOUNT_NESTED, point, what, "put them side by side");
                }
                _ => outer = Some(point),
            }
        }
    }

    /// A mount inside its own base is ordinary; a base inside a mount would be read through the mount.
    fn bases(&mut self) {
        let project = self.project;
        if project.enabled().all(|instance| instance.base.is_none()) {
            return;
        }
        let points: Vec<_> = project
            .enabled()
            .filter_map(|instance| Some((&instance.name, self.real.of(&instance.mount.as_ref()?.path))))
            .collect();
        let (data_dir, runtime_dir) = (self.real.of(&project.data_dir), self.real.of(&project.runtime_dir));
        for instance in project.enabled() {
            let Some(base) = &instance.base else { continue };
            let real = self.real.of(&base.path);
            let shown = base.path.display();
            if let Some((other, _)) = points.iter().find(|(_, point)| real.starts_with(point)) {
                let what = match **other == instance.name {
                    true => format!("The base {shown} would lie under the instance's own mount"),
                    false => format!("The base {shown} lies in the mount of {other}"),
                };
                let help = "name the real folder, and a mountpoint outside of it or below it";
                self.report(&codes::CONFIG_BASE_IN_MOUNT, &instance.name, &["base"], what, help);
            } else if instance.engine == Engine::Agentfs
                && points.iter().any(|(name, point)| **name == instance.name && point.starts_with(&real))
            {
                let what = "With `engine = \"agentfs\"` a mount inside its own base hangs, and whoever looks into it"
                    .to_owned();
                let help = "name a `mount.path` outside of the base, or set `engine = \"builtin\"`";
                self.report(&codes::CONFIG_ENGINE, &instance.name, &["mount", "path"], what, help);
            } else if real.starts_with(&data_dir) || real.starts_with(&runtime_dir) {
                let what = format!("The base {shown} lies in nixbox's own folder");
                let help = "name a folder of the project";
                self.report(&codes::CONFIG_BASE_IN_DATA, &instance.name, &["base"], what, help);
            }
        }
    }

    /// Whether a path is one that nixbox itself keeps in `folder` for some instance, such as `NAME.d`.
    fn is_own(&self, path: &Path, folder: &Path) -> bool {
        let first = path.strip_prefix(folder).ok().and_then(|rest| rest.components().next());
        let name = first.and_then(|first| first.as_os_str().to_str()).and_then(|first| first.split_once('.'));
        name.is_some_and(|(name, _)| self.project.instances.contains_key(name))
    }

    fn at_mount(&self, code: &'static Code, point: &Point<'_>, what: String, help: &str) {
        self.report(code, &point.instance.name, &["mount", "path"], what, help);
    }

    /// On the key below the instance where it is written, else on the nearest table that is.
    fn report(&self, code: &'static Code, name: &str, below: &[&str], what: String, help: &str) {
        let key = below.iter().fold(join("instances", name), |path, part| join(&path, part));
        let line = self.document.instances.get(name).map_or(1, |instance| {
            let (mount, http) = (instance.value.mount.as_ref(), instance.value.http.as_ref());
            let nfs = instance.value.nfs.as_ref();
            let (table, value) = match below {
                ["mount", ..] => {
                    (mount.map(|at| at.line), mount.and_then(|at| at.value.path.as_ref()).map(|at| at.line))
                }
                ["base"] => (None, instance.value.base.as_ref().map(|at| at.line)),
                ["http", ..] => (http.map(|at| at.line), http.and_then(|at| at.value.port.as_ref()).map(|at| at.line)),
                ["nfs", ..] => (nfs.map(|at| at.line), nfs.and_then(|at| at.value.port.as_ref()).map(|at| at.line)),
                _ => (None, None),
            };
            value.or(table).unwrap_or(instance.line)
        });
        self.problems.at(line, &key, Failure::new(code, what).help(help));
    }
}
