//! JSON out of a database, in the words of whoever stored it: numbers of any size keep their digits.

use std::io::Read;

use nixbox_report::{Failure, Report, codes};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Stored(Box<RawValue>);

impl Stored {
    /// What is no JSON after all, because another program stored it, becomes a JSON string.
    pub fn new(text: &str) -> Self {
        let parsed = serde_json::from_str(text);
        Self(parsed.unwrap_or_else(|_| serde_json::value::to_raw_value(text).unwrap_or_default()))
    }

    /// The text of a JSON string; of anything else, its JSON.
    pub fn raw(&self) -> String {
        serde_json::from_str::<String>(self.0.get()).unwrap_or_else(|_| self.0.get().to_owned())
    }

    pub fn json(&self) -> &str {
        self.0.get()
    }
}

/// What a value on the command line means: `-` is what standard input holds.
pub fn given(value: &str) -> Result<Vec<u8>, Report> {
    if value != "-" {
        return Ok(value.as_bytes().to_owned());
    }
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(&codes::IO, "cannot read standard input").why(error))?;
    Ok(text)
}

/// The same, where text is needed.
pub fn given_text(value: &str, what: &str) -> Result<String, Report> {
    String::from_utf8(given(value)?).map_err(|error| {
        Failure::new(&codes::USAGE, format!("{what} is not UTF-8"))
            .why(error)
            .help("only text can be stored there; write bytes to a file with `nixbox-helper fs write`")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept() {
        let number = Stored::new("12345678901234567890.10");
        assert_eq!((number.json(), number.raw().as_str()), ("12345678901234567890.10", "12345678901234567890.10"));
        let text = Stored::new("\"a\\nb\"");
        assert_eq!((text.json(), text.raw().as_str()), ("\"a\\nb\"", "a\nb"));
        let broken = Stored::new("{oops");
        assert_eq!((broken.json(), broken.raw().as_str()), ("\"{oops\"", "{oops"));
    }
}
