//! A parsed file of either format, in which every key and value still knows its line.

mod json;
mod lines;
mod toml;

use std::borrow::Cow;
use std::path::Path;

use nixbox_report::{Failure, codes};

use crate::problems::Problems;

#[derive(Debug)]
pub(crate) enum Value<'t> {
    Text(Cow<'t, str>),
    /// Numbers too big for any setting are saturated.
    Integer(i128),
    Float(f64),
    Bool(bool),
    Table(Vec<Entry<'t>>),
    /// Each with its line.
    List(Vec<(usize, Value<'t>)>),
    /// Something that no setting takes, by its name.
    Other(&'static str),
}

#[derive(Debug)]
pub(crate) struct Entry<'t> {
    pub name: Cow<'t, str>,
    /// Where the key stands, counted from 1.
    pub line: usize,
    pub value: Value<'t>,
}

impl Value<'_> {
    pub fn is_empty_list(&self) -> bool {
        matches!(self, Self::List(items) if items.is_empty())
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Table(_) => "a table",
            Self::List(_) => "an array",
            Self::Other(kind) => kind,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Json,
}

impl Format {
    /// JSON where the name says so: what Nix makes has the same keys.
    pub fn of(file: &Path) -> Self {
        match file.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("json") => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// The top table; problems of syntax go to `problems`, and then there is none.
pub(crate) fn parse<'t>(bytes: &'t [u8], format: Format, problems: &Problems) -> Option<Vec<Entry<'t>>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let readable = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            let line = 1 + readable.matches('\n').count();
            let key = if format == Format::Toml { toml::key_on(line, readable) } else { None };
            let failure = Failure::new(&codes::CONFIG_SYNTAX, "The file is not UTF-8 text");
            problems.in_text(Some(line), key, failure.help("save the file in UTF-8"));
            return None;
        }
    };
    match format {
        Format::Toml => toml::parse(text, problems),
        Format::Json => json::parse(text, problems),
    }
}

/// `key` as it is written in a dotted path.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let mut key = String::with_capacity(path.len() + name.len() + 3);
    key.push_str(path);
    if !path.is_empty() {
        key.push('.');
    }
    if bare {
        key.push_str(name);
    } else {
        key.push_str(&format!("{name:?}"));
    }
    key
}
