//! What is declared in the words of other programs that start processes.

mod cannot;
pub mod process_compose;
mod processes;
pub mod procfile;
pub mod systemd;
mod systemd_schedule;

use std::path::PathBuf;

use nixbox_config::Project;
pub use processes::{Probe, Process, What};

use crate::shell::posix;

/// What is rendered: the project, the helper that is to be called, and the options that make it see this project
/// from wherever it is started.
pub struct Target<'p> {
    pub project: &'p Project,
    pub program: PathBuf,
    pub options: Vec<String>,
}

/// Seconds that something gets to stop in: more than an owner takes, and a job's command.
const STOP: u32 = 15;

impl Target<'_> {
    /// The words of a call, unquoted.
    fn words(&self, verb: &[&str]) -> Vec<String> {
        let mut words = vec![self.program.to_string_lossy().into_owned()];
        words.extend(self.options.iter().cloned());
        words.extend(verb.iter().map(|&word| word.to_owned()));
        words
    }

    /// A call for `sh -c`.
    fn shell(&self, verb: &[&str]) -> String {
        let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:=@".contains(c));
        let quote = |word: String| if plain(&word) && !word.is_empty() { word } else { posix(&word) };
        self.words(verb).into_iter().map(quote).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    #![allow(clippy::unwrap_used)]
    use super::Target;

    /// Two instances in a folder with a hostile name; the third is disabled.
    pub fn with(check: impl FnOnce(&Target<'_>)) {
        of(
            "[instances.a]\ndescription = \"first: \\\"a\\\" $x\"\n[instances.b]\n[instances.off]\nenable = false\n",
            check,
        );
    }

    pub fn of(declared: &str, check: impl FnOnce(&Target<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap().join("it's $HOME 100%");
        std::fs::create_dir(&folder).unwrap();
        let text = format!("version = 1\nruntime_dir = \"/tmp/nixbox-render-test\"\n{declared}");
        std::fs::write(folder.join("nixbox.toml"), text).unwrap();
        let sources = nixbox_config::Sources { cwd: folder.clone(), ..Default::default() };
        let project = nixbox_config::project(&sources).unwrap();
        let options = vec!["--config".into(), project.file.to_string_lossy().into_owned()];
        check(&Target { project: &project, program: folder.join("nixbox-helper"), options });
    }
}
