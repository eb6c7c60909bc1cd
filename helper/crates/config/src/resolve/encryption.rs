//! Where the key of an encrypted database comes from. The key itself is never in the file, and is not looked for here.

use std::path::Path;

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, EncryptionDocument};
use crate::origin::Origin;
use crate::paths::in_store;
use crate::project::{Encryption, KeySource};
use crate::secret;
use crate::tree::join;
use crate::words::Cipher;

const ONE: &str = "set one of `key_file`, `key_command` and `key_env`";

impl Resolver<'_> {
    pub(super) fn encryption(&mut self, key: &str, written: Option<&At<EncryptionDocument>>) -> Option<Encryption> {
        let At { value: table, line } = written?;
        let cipher = self.pick(key, "cipher", table.cipher.as_ref(), Cipher::default());
        let file = self.key_file(&join(key, "key_file"), table.key_file.as_ref());
        let command = self.key_command(&join(key, "key_command"), &table.key_command);
        let variable = self.key_env(&join(key, "key_env"), table.key_env.as_ref());
        // Counted as they are written: one that is impossible has been told of already.
        let written = [table.key_file.is_some(), !table.key_command.is_empty(), table.key_env.is_some()];
        match written.iter().filter(|written| **written).count() {
            0 => self.report(&codes::CONFIG_VALUE, *line, key, "Nothing says where the key is".into(), ONE),
            1 => {}
            _ => self.report(&codes::CONFIG_VALUE, *line, key, "Two places are named for one key".into(), ONE),
        }
        Some(Encryption { cipher, key: file.or(command).or(variable)? })
    }

    fn key_file(&mut self, key: &str, written: Option<&At<String>>) -> Option<KeySource> {
        let At { value, line } = written?;
        if self.is_a_key(key, value, *line) {
            return None;
        }
        if in_store(Path::new(value)) {
            let what = "The file with the key lies in the Nix store";
            let failure = Failure::new(&codes::CONFIG_SECRET, what).why("everybody on this machine can read it there");
            self.problems.at(*line, key, failure.help("name a file outside of it, as a plain string"));
            return None;
        }
        let (path, origin) = self.readable_path(key, written)?;
        self.setting(key, Some(path.display().to_string()), origin);
        Some(KeySource::File(path))
    }

    fn key_command(&mut self, key: &str, written: &[At<String>]) -> Option<KeySource> {
        let line = written.first()?.line;
        for At { value, line } in written {
            if self.is_a_key(key, value, *line) {
                return None;
            }
            if value.is_empty() || value.contains('\0') {
                let what = "A word of the command is empty or holds a NUL character".to_owned();
                self.report(&codes::CONFIG_VALUE, *line, key, what, "write the program and its arguments");
                return None;
            }
        }
        let words: Vec<_> = written.iter().map(|at| at.value.clone()).collect();
        self.setting(key, Some(words.join(" ")), Origin::File { line });
        Some(KeySource::Command(words))
    }

    fn key_env(&mut self, key: &str, written: Option<&At<String>>) -> Option<KeySource> {
        let At { value, line } = written?;
        if self.is_a_key(key, value, *line) {
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
        self.setting(key, Some(value.clone()), Origin::File { line: *line });
        Some(KeySource::Variable(value.clone()))
    }

    fn is_a_key(&self, key: &str, value: &str, line: usize) -> bool {
        let is = secret::looks_like_a_key(value);
        if is {
            // The value itself must not come up in any message.
            let failure = Failure::new(&codes::CONFIG_SECRET, "A key seems to be written out here")
                .why("this file and the Nix store are read by others")
                .help("put it into a file that only you can read, and name that: key_file = \"…\"");
            self.problems.at(line, key, failure);
        }
        is
    }
}
