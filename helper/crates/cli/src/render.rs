//! The declared instances in the words of other programs that start processes.

pub mod process_compose;
pub mod procfile;
pub mod systemd;

use std::path::PathBuf;

use nixbox_config::Project;

use crate::shell::posix;

/// What is rendered: the project, the helper that is to be called, and the options that make it see this project
/// from wherever it is started.
pub struct Target<'p> {
    pub project: &'p Project,
    pub program: PathBuf,
    pub options: Vec<String>,
}

/// Seconds that an owner gets to stop in: more than it takes, less than a person waits.
const STOP: u32 = 10;

/// One program that keeps running: an owner, or a remote that is served from here.
pub struct Process<'p> {
    /// `agentfs-NAME`, `agentfs-remote-NAME`
    pub name: String,
    /// What serves it, after the program and its options.
    pub serve: Vec<&'p str>,
    pub ready: Vec<&'p str>,
    pub description: Option<&'p str>,
    /// For people, where nobody has described it.
    pub about: String,
    /// The process that is ready before this one starts.
    pub after: Option<String>,
}

impl<'p> Target<'p> {
    pub fn processes(&self) -> Vec<Process<'p>> {
        let remote = |name: &str| format!("agentfs-remote-{name}");
        let remotes = self.project.served().map(|(name, _)| Process {
            name: remote(name),
            serve: vec!["remote", "serve", name],
            ready: vec!["remote", "ready", name, "--timeout", "2"],
            description: None,
            about: format!("AgentFS remote {name}"),
            after: None,
        });
        let served = |name: &str| self.project.served().any(|(served, _)| served == name);
        let instances = self.project.enabled().map(|instance| Process {
            name: format!("agentfs-{}", instance.name),
            serve: vec!["serve", &instance.name],
            ready: vec!["ready", &instance.name, "--timeout", "2"],
            description: Some(instance.description.as_str()).filter(|text| !text.is_empty()),
            about: format!("AgentFS instance {}", instance.name),
            after: instance.sync.as_ref().map(|sync| sync.remote.as_str()).filter(|name| served(name)).map(remote),
        });
        remotes.chain(instances).collect()
    }

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
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap().join("it's $HOME 100%");
        std::fs::create_dir(&folder).unwrap();
        let text = "version = 1\nruntime_dir = \"/tmp/nixbox-render-test\"\n[instances.a]\ndescription = \"first: \\\"a\\\" $x\"\n[instances.b]\n[instances.off]\nenable = false\n";
        std::fs::write(folder.join("nixbox.toml"), text).unwrap();
        let sources = nixbox_config::Sources { cwd: folder.clone(), ..Default::default() };
        let project = nixbox_config::project(&sources).unwrap();
        let options = vec!["--config".into(), project.file.to_string_lossy().into_owned()];
        check(&Target { project: &project, program: folder.join("nixbox-helper"), options });
    }
}
