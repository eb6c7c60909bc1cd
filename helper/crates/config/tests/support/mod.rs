//! A project in a temp folder of its own, and what loading it gives.

#![allow(dead_code, clippy::unwrap_used)]

pub mod mutation;

use std::fs;
use std::path::{Path, PathBuf};

use nixbox_config::{Environment, Loaded, Origin, Project, Sources, load};
use nixbox_report::{Failure, Report};

pub struct Scene {
    _dir: tempfile::TempDir,
    /// With links resolved, as a working folder is.
    pub dir: PathBuf,
    pub sources: Sources,
    variables: Vec<(String, String)>,
}

impl Scene {
    /// With this `nixbox.toml`, and no variables but one for a short runtime folder.
    pub fn new(text: &str) -> Self {
        let scene = Self::bare();
        scene.write("nixbox.toml", text);
        scene
    }

    pub fn bare() -> Self {
        let temp = tempfile::Builder::new().prefix("nb").tempdir().unwrap();
        let dir = fs::canonicalize(temp.path()).unwrap();
        let sources = Sources { cwd: dir.clone(), ..Sources::default() };
        Self { _dir: temp, dir, sources, variables: Vec::new() }.variable("XDG_RUNTIME_DIR", "/run/nb")
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn variable(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().display().to_string()));
        self.sources.environment = self.variables.iter().cloned().collect::<Environment>();
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Sources, &Path)) -> Self {
        let dir = self.dir.clone();
        change(&mut self.sources, &dir);
        self
    }

    pub fn load(&self) -> Result<Loaded, Report> {
        load(&self.sources)
    }

    pub fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|report| panic!("{}", nixbox_report::text(&report, false)))
    }

    pub fn project(&self) -> Project {
        nixbox_config::project(&self.sources).unwrap_or_else(|report| panic!("{}", nixbox_report::text(&report, false)))
    }

    pub fn failures(&self) -> Vec<Failure> {
        self.load().expect_err("it loads").failures
    }

    pub fn origin(&self, key: &str) -> Origin {
        self.loaded().origins.get(key).unwrap_or_else(|| panic!("no setting {key}")).origin
    }

    /// Loads, and expects just these problems: code without its common beginning, line, key.
    pub fn fails(&self, expected: &[(&str, usize, &str)]) {
        let failures = self.failures();
        let found: Vec<_> = failures
            .iter()
            .map(|failure| {
                let place = failure.place.as_ref().unwrap_or_else(|| panic!("no place: {failure:?}"));
                assert!(failure.help.is_some(), "no help: {failure:?}");
                assert!(!failure.what.ends_with('.'), "a full stop: {failure:?}");
                let id = failure.code.id.strip_prefix("nixbox::config::").unwrap();
                (id, place.line.unwrap_or_default(), place.key.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected);
    }
}
