//! Changes of files that are made as one: a JSON object a line, each an operation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most that is taken at once: it is kept in memory, and everybody else waits while it is done.
pub const MAX_OPERATIONS: usize = 100_000;
pub const MAX_OPERATIONS_BYTES: usize = 64 << 20;

/// Paths are those of the instance, from its root, with or without the leading slash
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileOperation {
    /// Make a file with this content, or replace one, which keeps its mode and owner unless a mode is given
    Write {
        path: String,
        /// The content, as text; or `base64`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Permissions>,
        /// Make the folders above it, too
        #[serde(default)]
        parents: bool,
    },
    /// Add to the end of a file, which is made where it is not there
    Append {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    },
    /// Cut a file to so many bytes, or fill it up with zeroes
    Truncate { path: String, size: u64 },
    /// Make a folder
    Mkdir {
        path: String,
        /// Those above it, too; and it may be there
        #[serde(default)]
        parents: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Permissions>,
    },
    /// Remove a file, a link, or with `recursive` a folder with all in it
    Rm {
        path: String,
        #[serde(default)]
        recursive: bool,
        /// No failure where it is not there
        #[serde(default)]
        force: bool,
    },
    /// Move or rename; into `to`, where that is a folder
    Mv { from: String, to: String },
    /// Copy a file, or with `recursive` a folder; into `to`, where that is a folder
    Cp {
        from: String,
        to: String,
        #[serde(default)]
        recursive: bool,
    },
    /// Change permissions; a symbolic link is followed
    Chmod { path: String, mode: Permissions },
    /// Change the owner, the group or both; a symbolic link is followed
    Chown {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
    },
    /// Make a symbolic link at `path` that leads to `target`
    Symlink { path: String, target: String },
    /// Make another name at `path` for the file `to`
    Link { path: String, to: String },
}

impl FileOperation {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::Append { .. } => "append",
            Self::Truncate { .. } => "truncate",
            Self::Mkdir { .. } => "mkdir",
            Self::Rm { .. } => "rm",
            Self::Mv { .. } => "mv",
            Self::Cp { .. } => "cp",
            Self::Chmod { .. } => "chmod",
            Self::Chown { .. } => "chown",
            Self::Symlink { .. } => "symlink",
            Self::Link { .. } => "link",
        }
    }

    /// What it changes; of two paths both.
    pub fn paths(&self) -> (&str, Option<&str>) {
        match self {
            Self::Write { path, .. }
            | Self::Append { path, .. }
            | Self::Truncate { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Rm { path, .. }
            | Self::Chmod { path, .. }
            | Self::Chown { path, .. }
            | Self::Symlink { path, .. }
            | Self::Link { path, .. } => (path, None),
            Self::Mv { from, to } | Self::Cp { from, to, .. } => (from, Some(to)),
        }
    }
}

/// The lower twelve mode bits, in octal, as `--json` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", inline, extend("pattern" = "^[0-7]{3,4}$", "description" = "Permissions, in octal: \"0644\""))]
pub struct Permissions(pub u16);

impl TryFrom<String> for Permissions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        match u16::from_str_radix(&text, 8) {
            Ok(mode) if digits => Ok(Self(mode)),
            _ => Err(format!("`{text}` is no mode; write it in octal, such as \"0644\"")),
        }
    }
}

impl From<Permissions> for String {
    fn from(mode: Permissions) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    pub operations: u64,
    /// Of content that was written.
    pub bytes: u64,
    /// How many operations of each name.
    pub by_name: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_says_all_of_it_and_nothing_else() {
        let read = |line: &str| serde_json::from_str::<FileOperation>(line).map_err(|error| error.to_string());
        let write = read(r#"{"op":"write","path":"/a","text":"x","mode":"0600"}"#).unwrap();
        assert_eq!((write.name(), write.paths()), ("write", ("/a", None)));
        assert_eq!(serde_json::to_value(&write).unwrap()["mode"], "0600");
        assert_eq!(read(r#"{"op":"mv","from":"a","to":"b"}"#).unwrap().paths(), ("a", Some("b")));
        for (line, said) in [
            (r#"{"op":"fly","path":"/a"}"#, "unknown variant `fly`"),
            (r#"{"op":"rm"}"#, "missing field `path`"),
            (r#"{"op":"rm","path":"/a","recursiv":true}"#, "unknown field `recursiv`"),
            (r#"{"op":"chmod","path":"/a","mode":"999"}"#, "`999` is no mode"),
            (r#"{"op":"chmod","path":"/a","mode":420}"#, "invalid type"),
            (r#"{"path":"/a"}"#, "missing field `op`"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
