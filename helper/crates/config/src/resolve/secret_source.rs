//! Where a secret comes from. The secret itself is never in the file, and is not looked for here.

use std::path::Path;

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::At;
use crate::origin::Origin;
use crate::paths::in_store;
use crate::project::KeySource;
use crate::secret;
use crate::tree::join;

/// What is secret, and the keys that say where it is.
pub(super) struct Noun {
    name: &'static str,
    file: &'static str,
    command: &'static str,
    variable: &'static str,
}

pub(super) const KEY: Noun = Noun { name: "key", file: "key_file", command: "key_command", variable: "key_env" };
pub(super) const TOKEN: Noun =
    Noun { name: "token", file: "token_file", command: "token_command", variable: "token_env" };

/// As they are written.
pub(super) struct Places<'a> {
    pub(super) file: Option<&'a At<String>>,
    pub(super) command: &'a [At<String>],
    pub(super) variable: Option<&'a At<String>>,
}

impl Places<'_> {
    /// One that is impossible has been told of already, and counts.
    pub(super) fn count(&self) -> usize {
        let written = [self.file.is_some(), !self.command.is_empty(), self.variable.is_some()];
        written.iter().filter(|written| **written).count()
    }
}

impl Resolver<'_> {
    pub(super) fn secret_source(
        &mut self,
        table: &str,
        line: usize,
        noun: &Noun,
        places: &Places<'_>,
    ) -> Option<KeySource> {
        let file = self.secret_file(&join(table, noun.file), noun, places.file);
        let command = self.secret_command(&join(table, noun.command), noun, places.command);
        let variable = self.secret_variable(&join(table, noun.variable), noun, places.variable);
        if places.count() > 1 {
            let help = format!("set one of `{}`, `{}` and `{}`", noun.file, noun.command, noun.variable);
            let what = format!("Two places are named for one {}", noun.name);
            self.report(&codes::CONFIG_VALUE, line, table, what, &help);
        }
        file.or(command).or(variable)
    }

    fn secret_file(&mut self, key: &str, noun: &Noun, written: Option<&At<String>>) -> Option<KeySource> {
        let At { value, line } = written?;
        if self.is_written_out(key, noun, value, *line) {
            return None;
        }
        if in_store(Path::new(value)) {
            let what = format!("The file with the {} lies in the Nix store", noun.name);
            let failure = Failure::new(&codes::CONFIG_SECRET, what).why("everybody on this machine can read it there");
            self.problems.at(*line, key, failure.help("name a file outside of it, as a plain string"));
            return None;
        }
        let (path, origin) = self.readable_path(key, written)?;
        self.setting(|| (key, Some(path.display().to_string())), origin);
        Some(KeySource::File(path))
    }

    fn secret_command(&mut self, key: &str, noun: &Noun, written: &[At<String>]) -> Option<KeySource> {
        let line = written.first()?.line;
        for At { value, line } in written {
            if self.is_written_out(key, noun, value, *line) {
                return None;
            }
            if value.is_empty() || value.contains('\0') {
                let what = "A word of the command is empty or holds a NUL character".to_owned();
                self.report(&codes::CONFIG_VALUE, *line, key, what, "write the program and its arguments");
                return None;
            }
        }
        let words: Vec<_> = written.iter().map(|at| at.value.clone()).collect();
        self.setting(|| (key, Some(words.join(" "))), Origin::File { line });
        Some(KeySource::Command(words))
    }

    fn secret_variable(&mut self, key: &str, noun: &Noun, written: Option<&At<String>>) -> Option<KeySource> {
        let At { value, line } = written?;
        if self.is_written_out(key, noun, value, *line) {
            return None;
        }
        let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let possible =
            value.bytes().next().is_some_and(first) && value.bytes().all(|byte| first(byte) || byte.is_ascii_digit());
        if !possible {
            let what = format!("{value:?} is not possible as the name of a variable");
            let help = "a name has letters, digits and _, and does not begin with a digit";
            self.report(&codes::CONFIG_VALUE, *line, key, what, help);
            return None;
        }
        self.setting(|| (key, Some(value.clone())), Origin::File { line: *line });
        Some(KeySource::Variable(value.clone()))
    }

    fn is_written_out(&self, key: &str, noun: &Noun, value: &str, line: usize) -> bool {
        let is = secret::looks_like_a_key(value);
        if is {
            // The value itself must not come up in any message.
            let failure = Failure::new(&codes::CONFIG_SECRET, format!("A {} seems to be written out here", noun.name))
                .why("this file and the Nix store are read by others")
                .help(format!("put it into a file that only you can read, and name that: {} = \"…\"", noun.file));
            self.problems.at(line, key, failure);
        }
        is
    }
}
