//! A document becomes a project: flag over environment over file over default.

mod encryption;
mod engine;
mod hooks;
mod made;
mod nfs;
mod partial;
mod schedules;
mod secret_source;
mod serve;
mod surfaces;
mod sync;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nixbox_report::{Code, Failure, codes};

use crate::document::{At, Document, InstanceDocument, LimitsDocument, MountDocument};
use crate::env;
use crate::glob;
use crate::load::Loaded;
use crate::locate::Located;
use crate::origin::{Origin, Origins, Setting};
use crate::paths::{RealPaths, absolute, in_store, is_not_a_folder, short_hash};
use crate::problems::Problems;
use crate::project::{Base, Instance, Limits, Mount, Paths, Project};
use crate::secret;
use crate::sources::Sources;
use crate::tree::join;
use crate::unit::Share;
use crate::words::{Backend, Engine, LogLevel, Mode};

pub(crate) fn resolve(
    sources: &Sources,
    located: &Located,
    document: &Document,
    real: &mut RealPaths,
    problems: &Problems,
    settings: Option<Vec<Setting>>,
) -> Loaded {
    let mut resolver = Resolver { sources, located, problems, settings };
    let data_dir = resolver.data_dir(document);
    let runtime_dir = resolver.runtime_dir(document, &data_dir, real);
    let agentfs_program = resolver.agentfs_program(document);
    let default_at = resolver.settings.as_ref().map_or(0, Vec::len);
    let log_level = resolver.log_level(document);
    let remotes = resolver.remotes(document, &data_dir, &runtime_dir);
    let mut instances: BTreeMap<_, _> = document
        .instances
        .iter()
        .map(|(name, at)| (name.clone(), resolver.instance(name, at, &data_dir, &runtime_dir)))
        .collect();
    resolver.made(document, &mut instances, &data_dir, &runtime_dir);
    let (default_instance, setting) = resolver.default_instance(document, &instances);
    if let Some(settings) = &mut resolver.settings {
        settings.insert(default_at, setting);
    }
    let jobs = resolver.jobs(document, default_instance.as_deref(), &runtime_dir);
    let schedules = resolver.schedules(document, default_instance.as_deref(), &runtime_dir);

    // Variables are exported and documents written as text.
    let paths = [&located.file, &located.root, &data_dir, &runtime_dir];
    if let Some(path) = paths.into_iter().chain(&agentfs_program).find(|path| path.to_str().is_none()) {
        let failure = Failure::new(&codes::CONFIG_VALUE, format!("The path {} is not UTF-8", path.display()));
        problems.in_text(None, None, failure.help("rename the folder, or name another"));
    }
    let settings = resolver.settings.unwrap_or_default();
    let origins = Origins { file: located.file_origin, root: located.root_origin, settings };
    let (file, root) = (located.file.clone(), located.root.clone());
    Loaded {
        project: Project {
            file,
            root,
            data_dir,
            runtime_dir,
            agentfs_program,
            default_instance,
            log_level,
            remotes,
            instances,
            jobs,
            schedules,
        },
        origins,
    }
}

struct Resolver<'a> {
    sources: &'a Sources,
    located: &'a Located,
    problems: &'a Problems,
    /// `None` where nobody asks.
    settings: Option<Vec<Setting>>,
}

impl Resolver<'_> {
    fn data_dir(&mut self, document: &Document) -> PathBuf {
        // Checked also where something overrides it.
        let written = self.path("data_dir", document.data_dir.as_ref());
        let (path, origin) = if let Some(path) = &self.sources.data_dir {
            (absolute(&self.sources.cwd, path), Origin::Flag)
        } else if let Some(path) = self.folder("AGENTFS_DATA_DIR", self.located.environment_is_ours) {
            (path, Origin::Environment("AGENTFS_DATA_DIR"))
        } else if let Some(found) = written {
            found
        } else if let Some(state) = self.folder("DEVENV_STATE", self.located.devenv_is_ours) {
            (state.join("agentfs"), Origin::Environment("DEVENV_STATE"))
        } else {
            (self.located.root.join(".agentfs"), Origin::Default)
        };
        self.setting(|| ("data_dir", Some(path.display().to_string())), origin);
        path
    }

    fn runtime_dir(&mut self, document: &Document, data_dir: &Path, real: &mut RealPaths) -> PathBuf {
        let (path, origin) = if let Some(found) = self.path("runtime_dir", document.runtime_dir.as_ref()) {
            found
        } else if let Some(runtime) = self.folder("DEVENV_RUNTIME", self.located.devenv_is_ours) {
            (runtime.join("agentfs"), Origin::Environment("DEVENV_RUNTIME"))
        } else {
            // However the project is reached, its owners must be found in one place.
            let hash = short_hash(&[&real.of(&self.located.root), &real.of(data_dir)]);
            // The specification wants a relative one ignored; it would change with the working folder.
            let runtime = self.sources.environment.get("XDG_RUNTIME_DIR").map(Path::new);
            match runtime.filter(|path| path.is_absolute()) {
                Some(runtime) => (runtime.join("nixbox").join(hash), Origin::Environment("XDG_RUNTIME_DIR")),
                None => {
                    let user = rustix::process::geteuid().as_raw();
                    (PathBuf::from(format!("/tmp/nixbox-{user}")).join(hash), Origin::Default)
                }
            }
        };
        self.setting(|| ("runtime_dir", Some(path.display().to_string())), origin);
        path
    }

    fn log_level(&mut self, document: &Document) -> LogLevel {
        let variable = self.sources.environment.get("AGENTFS_LOG_LEVEL").filter(|_| self.located.environment_is_ours);
        let spoken = variable.and_then(|word| match word.to_str().unwrap_or_default().parse::<LogLevel>() {
            Ok(level) => Some(level),
            Err(unknown) => {
                let what = "AGENTFS_LOG_LEVEL holds no log level";
                let failure = Failure::new(&codes::CONFIG_ENVIRONMENT, what).why(unknown);
                self.problems.push(failure.help("set it to one of these, or unset it"));
                None
            }
        });
        let (level, origin) = match (self.sources.log_level, spoken, &document.log_level) {
            (Some(level), _, _) => (level, Origin::Flag),
            (None, Some(level), _) => (level, Origin::Environment("AGENTFS_LOG_LEVEL")),
            (None, None, Some(At { value, line })) => (*value, Origin::File { line: *line }),
            (None, None, None) => (LogLevel::default(), Origin::Default),
        };
        self.setting(|| ("log_level", Some(level.to_string())), origin);
        level
    }

    fn default_instance(&self, document: &Document, all: &BTreeMap<String, Instance>) -> (Option<String>, Setting) {
        let enabled = |name: &str| all.get(name).is_some_and(|instance| instance.enable);
        let (name, origin) = if let Some(At { value, line }) = &document.default_instance {
            if !enabled(value) {
                let names: Vec<_> = all.values().filter(|i| i.enable).map(|i| i.name.as_str()).collect();
                let help = match names.as_slice() {
                    [] => "Declare one with [instances.NAME]".to_owned(),
                    names => format!("Enabled are {}", names.join(", ")),
                };
                let what = format!("`default_instance` names {value:?}, which is not an enabled instance");
                self.report(&codes::CONFIG_DEFAULT_INSTANCE, *line, "default_instance", what, &help);
            }
            (Some(value.clone()), Origin::File { line: *line })
        } else {
            // One that was made and comes and goes changes nothing of what a name means.
            let are_declared = all.values().any(|instance| instance.made.is_none());
            let counts = |instance: &&Instance| instance.enable && (instance.made.is_none() || !are_declared);
            let mut names = all.values().filter(counts).map(|instance| &instance.name);
            let name = match (names.next(), names.next()) {
                (Some(only), None) => Some(only.clone()),
                _ => Some("default".to_owned()).filter(|name| enabled(name)),
            };
            (name, Origin::Default)
        };
        (name.clone(), Setting { key: "default_instance".to_owned(), value: name, origin })
    }

    fn instance(&mut self, name: &str, at: &At<InstanceDocument>, data_dir: &Path, runtime_dir: &Path) -> Instance {
        let key = join("instances", name);
        self.name(name, &key, at.line);
        let written = &at.value;
        let instance = Instance {
            name: name.to_owned(),
            enable: self.pick(&key, "enable", written.enable.as_ref(), true),
            description: self.pick(&key, "description", written.description.as_ref(), String::new()),
            engine: self.pick(&key, "engine", written.engine.as_ref(), Engine::default()),
            base: self.base(&key, written),
            mode: self.mode(&key, written),
            limits: self.limits(&key, written.limits.as_ref()),
            labels: self.labels(&join(&key, "labels"), &written.labels),
            env: self.variables(&join(&key, "env"), &written.env),
            mount: self.mount(&join(&key, "mount"), written.mount.as_ref(), data_dir, name),
            http: written.http.as_ref().map(|http| self.http(&join(&key, "http"), &http.value)),
            nfs: self.nfs(&key, written),
            encryption: self.encryption(&key, written.encryption.as_ref()),
            sync: self.sync(&key, written),
            partial: self.partial(&key, written),
            hooks: self.hooks(&key, written.hooks.as_ref()),
            mcp_tools: self.mcp_tools(&join(&key, "mcp"), written.mcp.as_ref()),
            depends_on: self.depends_on(&join(&key, "depends_on"), &written.depends_on),
            restart: self.restart(&key, written.restart.as_ref()),
            health: self.health(&key, written.health.as_ref()),
            made: None,
            paths: Paths::of(name, data_dir, runtime_dir),
        };
        self.engine_has_it_all(&key, written, &instance);
        let socket = instance.paths.socket.as_os_str().len();
        if instance.enable && socket > Paths::LONGEST_SOCKET {
            let why = format!(
                "{} has {socket} bytes, {} are allowed",
                instance.paths.socket.display(),
                Paths::LONGEST_SOCKET
            );
            let failure = Failure::new(&codes::CONFIG_SOCKET_PATH, format!("The socket path of {name} is too long"));
            self.problems.at(
                at.line,
                &key,
                failure.why(why).help("set a shorter `runtime_dir`, such as one below /tmp"),
            );
        }
        instance
    }

    fn base(&mut self, table: &str, written: &InstanceDocument) -> Option<Base> {
        let key = join(table, "base");
        let found = self.readable_path(&key, written.base.as_ref());
        let origin = found.as_ref().map_or(Origin::Default, |(_, origin)| *origin);
        self.setting(|| (key, found.as_ref().map(|(path, _)| path.display().to_string())), origin);
        let key = join(table, "exclude");
        let globs: Vec<_> = written.exclude.iter().map(|at| at.value.clone()).collect();
        let origin = written.exclude.first().map_or(Origin::Default, |at| Origin::File { line: at.line });
        self.setting(|| (key.clone(), Some(globs.join(" "))), origin);
        for At { value, line } in &written.exclude {
            if let Err(why) = glob::check(value) {
                let what = format!("The pattern {value:?} is not possible");
                let failure = Failure::new(&codes::CONFIG_VALUE, what).why(why);
                self.problems.at(
                    *line,
                    &key,
                    failure.help("write it as in a .gitignore, such as \"target\" or \"/dist/*.js\""),
                );
            }
        }
        match (written.base.as_ref(), written.exclude.first()) {
            (None, Some(At { line, .. })) => {
                let what = "`exclude` says what is not seen of a base, and there is none".to_owned();
                self.report(&codes::CONFIG_VALUE, *line, &key, what, "set `base`, or leave `exclude` out");
            }
            (Some(At { line, .. }), _) if found.as_ref().is_some_and(|(path, _)| is_not_a_folder(path)) => {
                let what = "The base is not a folder".to_owned();
                self.report(&codes::CONFIG_VALUE, *line, &join(table, "base"), what, "name the folder that it lies in");
            }
            _ => {}
        }
        found.map(|(path, _)| Base { path, exclude: globs })
    }

    fn mode(&mut self, table: &str, written: &InstanceDocument) -> Mode {
        let mode = self.pick(table, "mode", written.mode.as_ref(), Mode::default());
        if let (Mode::Ephemeral, Some(At { line, .. })) = (mode, &written.encryption) {
            let what = "An ephemeral instance has no database that could be encrypted".to_owned();
            let help = "leave `encryption` out, or set another `mode`";
            self.report(&codes::CONFIG_VALUE, *line, &join(table, "encryption"), what, help);
        }
        let (Mode::Direct, Some(At { line, .. })) = (mode, &written.mode) else { return mode };
        if written.base.is_none() {
            let what = "`direct` writes to the base, and there is none".to_owned();
            self.report(&codes::CONFIG_VALUE, *line, &join(table, "mode"), what, "set `base`, or leave `mode` out");
        }
        let bounded = written.limits.as_ref().filter(|at| at.value.size.is_some() || at.value.files.is_some());
        if let Some(At { line, .. }) = bounded {
            let what =
                "`size` and `files` bound what the instance itself holds, and in `direct` mode it holds no files";
            let what = what.to_owned();
            let help = "leave them out, or set another `mode`";
            self.report(&codes::CONFIG_VALUE, *line, &join(table, "limits"), what, help);
        }
        mode
    }

    fn limits(&mut self, table: &str, written: Option<&At<LimitsDocument>>) -> Limits {
        let Some(At { value, .. }) = written else { return Limits::default() };
        let key = &join(table, "limits");
        Limits {
            size: self.optional(key, "size", value.size.as_ref()),
            files: self.optional(key, "files", value.files.as_ref()),
            commands: Share {
                cpu: self.optional(key, "cpu", value.cpu.as_ref()),
                memory: self.optional(key, "memory", value.memory.as_ref()),
                pids: self.optional(key, "pids", value.pids.as_ref()),
                timeout: self.optional(key, "timeout", value.timeout.as_ref()),
            },
        }
    }

    fn name(&self, name: &str, key: &str, line: usize) {
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let rest = |b: u8| first(b) || b == b'_' || b == b'-';
        let possible = name.bytes().next().is_some_and(first) && name.bytes().all(rest) && name.len() <= 63;
        if !possible {
            let what = format!("{name:?} is not possible as an instance name");
            let help = "a name has lower case letters, digits, - and _, begins with a letter or digit, and has at most 63 characters";
            self.report(&codes::CONFIG_INSTANCE_NAME, line, key, what, help);
        }
    }

    fn labels(&mut self, key: &str, written: &BTreeMap<String, At<String>>) -> BTreeMap<String, String> {
        self.each(key, written, |_, _, _| {})
    }

    fn variables(&mut self, key: &str, written: &BTreeMap<String, At<String>>) -> BTreeMap<String, String> {
        self.each(key, written, |this, name, At { value, line }| {
            let key = join(key, name);
            if let Some(why) = env::not_for_users(name) {
                let what = format!("`{name}` is not possible as a variable here");
                let failure = Failure::new(&codes::CONFIG_ENV_NAME, what).why(why);
                this.problems.at(*line, &key, failure.help("choose another name"));
            }
            if value.contains('\0') {
                let what = format!("`{name}` holds a NUL character, which no variable can");
                this.report(&codes::CONFIG_VALUE, *line, &key, what, "leave it out");
            }
        })
    }

    /// A table of strings: none of them may be a secret.
    fn each(
        &mut self,
        key: &str,
        written: &BTreeMap<String, At<String>>,
        inspect: impl Fn(&Self, &str, &At<String>),
    ) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (name, at) in written {
            if secret::looks_like_one(name, &at.value) {
                // The value itself must not come up in any message.
                let what = format!("`{name}` looks like a secret written out");
                let failure = Failure::new(&codes::CONFIG_SECRET, what)
                    .why("this file, the shell's variables and the Nix store are read by others")
                    .help(format!(
                        "put it into a file only you can read, and name that: {}_FILE = \"…\"",
                        name.to_uppercase()
                    ));
                self.problems.at(at.line, &join(key, name), failure);
            }
            inspect(self, name, at);
            self.setting(|| (join(key, name), Some(at.value.clone())), Origin::File { line: at.line });
            all.insert(name.clone(), at.value.clone());
        }
        all
    }

    fn mount(&mut self, key: &str, written: Option<&At<MountDocument>>, data_dir: &Path, name: &str) -> Option<Mount> {
        let nothing = MountDocument::default();
        let table = written.map_or(&nothing, |at| &at.value);
        let (path, origin) = self
            .path(&join(key, "path"), table.path.as_ref())
            .unwrap_or_else(|| (data_dir.join("mnt").join(name), Origin::Default));
        self.setting(|| (join(key, "path"), Some(path.display().to_string())), origin);
        let mount = Mount {
            path,
            backend: self.pick(key, "backend", table.backend.as_ref(), Backend::default()),
            read_only: self.pick(key, "read_only", table.read_only.as_ref(), false),
            allow_root: self.pick(key, "allow_root", table.allow_root.as_ref(), false),
            allow_other: self.pick(key, "allow_other", table.allow_other.as_ref(), false),
            uid: self.optional(key, "uid", table.uid.as_ref()),
            gid: self.optional(key, "gid", table.gid.as_ref()),
            create: self.pick(key, "create", table.create.as_ref(), true),
        };
        if let (Some(At { value: true, line }), true) = (&table.allow_root, mount.allow_other) {
            let what = "`allow_root` and `allow_other` exclude each other".to_owned();
            let help = "keep `allow_other` alone; it lets root in as well";
            self.report(&codes::CONFIG_VALUE, *line, &join(key, "allow_root"), what, help);
        }
        (mount.backend != Backend::None).then_some(mount)
    }

    /// A variable that names a folder, from the project root.
    fn folder(&self, name: &'static str, applies: bool) -> Option<PathBuf> {
        let value = self.sources.environment.get(name).filter(|_| applies)?;
        Some(absolute(&self.located.root, Path::new(value)))
    }

    /// A path of the file, from the project root, at which something is to be written.
    fn path(&self, key: &str, written: Option<&At<String>>) -> Option<(PathBuf, Origin)> {
        let At { value, line } = written?;
        if in_store(Path::new(value)) {
            let what = format!("The path {value:?} lies in the Nix store, where nothing can be written");
            self.report(&codes::CONFIG_VALUE, *line, key, what, "name a folder of the project, as a plain string");
            return None;
        }
        self.readable_path(key, written)
    }

    fn readable_path(&self, key: &str, written: Option<&At<String>>) -> Option<(PathBuf, Origin)> {
        let At { value, line } = written?;
        let wrong = if value.is_empty() {
            Some(("is empty", "leave the key out to have the default"))
        } else if value.chars().any(char::is_control) {
            Some(("holds a control character", "leave it out"))
        } else if value.starts_with('~') || value.starts_with('$') {
            Some(("is taken as it stands: neither ~ nor $ is expanded", "write the path out"))
        } else {
            None
        };
        if let Some((what, help)) = wrong {
            self.report(&codes::CONFIG_VALUE, *line, key, format!("The path {value:?} {what}"), help);
            return None;
        }
        Some((absolute(&self.located.root, Path::new(value)), Origin::File { line: *line }))
    }

    fn pick<T: Clone + ToString>(&mut self, table: &str, name: &str, written: Option<&At<T>>, default: T) -> T {
        let (value, origin) = match written {
            Some(At { value, line }) => (value.clone(), Origin::File { line: *line }),
            None => (default, Origin::Default),
        };
        self.setting(|| (join(table, name), Some(value.to_string())), origin);
        value
    }

    fn optional<T: Copy + ToString>(&mut self, table: &str, name: &str, written: Option<&At<T>>) -> Option<T> {
        let origin = written.map_or(Origin::Default, |at| Origin::File { line: at.line });
        let value = written.map(|at| at.value);
        self.setting(|| (join(table, name), value.map(|value| value.to_string())), origin);
        value
    }

    /// What is said of a setting is text, which takes longer to make than the setting itself.
    fn setting<K: Into<String>>(&mut self, said: impl FnOnce() -> (K, Option<String>), origin: Origin) {
        if let Some(settings) = &mut self.settings {
            let (key, value) = said();
            settings.push(Setting { key: key.into(), value, origin });
        }
    }

    fn report(&self, code: &'static Code, line: usize, key: &str, what: String, help: &str) {
        self.problems.at(line, key, Failure::new(code, what).help(help));
    }
}
