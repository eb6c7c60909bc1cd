//! What the tools take. Names and meaning are upstream's where it has them; what is more is optional.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Encoding {
    #[default]
    Utf8,
    Base64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    /// Path to the file to read
    pub path: String,
    /// Encoding to use for file contents; base64 is for what is not text
    #[serde(default)]
    pub encoding: Encoding,
    /// Byte to begin at
    #[serde(default)]
    pub offset: u64,
    /// At most so many bytes
    #[serde(default = "ReadFile::limit")]
    #[schemars(range(min = 4, max = 1048576))]
    pub limit: u64,
}

impl ReadFile {
    pub const MOST: u64 = 1 << 20;

    fn limit() -> u64 {
        128 << 10
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    /// Path to the file to write
    pub path: String,
    /// Content to write to the file
    pub content: String,
    /// Encoding of the content
    #[serde(default)]
    pub encoding: Encoding,
    /// Create parent directories if they don't exist
    #[serde(default)]
    pub create_dirs: bool,
    /// Add to the end of the file in place of replacing it
    #[serde(default)]
    pub append: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Readdir {
    /// Path to the directory to list
    pub path: String,
    /// At most so many entries
    #[serde(default = "entries")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u64,
    /// Go on behind this name
    #[serde(default)]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mkdir {
    /// Path of the directory to create
    pub path: String,
    /// Create parent directories, too; it is no error then if it exists
    #[serde(default)]
    pub parents: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    /// Path of the file or directory to remove
    pub path: String,
    /// Remove a directory with all that is in it
    #[serde(default)]
    pub recursive: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// Source path
    pub from: String,
    /// Destination path; a file there is replaced
    pub to: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Path {
    /// Path in the instance
    pub path: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Find {
    /// Pattern such as "*.rs" for names, or "src/**/*.rs" for paths below where the search begins
    pub glob: String,
    /// Directory to search in
    #[serde(default = "root")]
    pub path: String,
    /// Only what is of this kind
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Only files of at least so many bytes
    #[serde(default)]
    pub min_size: Option<u64>,
    /// Only what was changed after this time, in seconds since 1970
    #[serde(default)]
    pub newer: Option<f64>,
    /// At most so many paths
    #[serde(default = "entries")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u64,
    /// Go on behind this path
    #[serde(default)]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// Only these files, folders and patterns such as "src/**/*.rs"; all without any
    #[serde(default)]
    pub paths: Vec<String>,
    /// At most so many changes
    #[serde(default = "entries")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u64,
    /// Go on behind this path
    #[serde(default)]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Diff {
    /// Only these files, folders and patterns such as "src/**/*.rs"; all without any
    #[serde(default)]
    pub paths: Vec<String>,
    /// At most so many bytes of patch
    #[serde(default = "Diff::limit")]
    #[schemars(range(min = 1024, max = 1048576))]
    pub limit: u64,
    /// Go on behind this path
    #[serde(default)]
    pub after: Option<String>,
}

impl Diff {
    pub const MOST: u64 = 1 << 20;

    fn limit() -> u64 {
        64 << 10
    }
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    /// Key of the value
    pub key: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KvSet {
    /// Key to set
    pub key: String,
    /// Value to store (any JSON value)
    #[serde(deserialize_with = "whatever")]
    pub value: Value,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KvList {
    /// Only keys that begin with this
    #[serde(default)]
    pub prefix: String,
    /// At most so many keys
    #[serde(default = "entries")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u64,
    /// Go on behind this key
    #[serde(default)]
    pub after: Option<String>,
}

/// The most of what is listed at once.
pub(super) const MOST_ENTRIES: u64 = 1000;

fn entries() -> u64 {
    MOST_ENTRIES
}

fn root() -> String {
    "/".into()
}

/// A null that is there is a value; one that is not is missing.
fn whatever<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    Value::deserialize(from)
}
