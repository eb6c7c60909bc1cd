//! Everything that can be wrong before anything is started, each with what to do about it.

mod encryption;
pub mod http;
pub mod machine;
pub mod project;

use nixbox_report::{Code, Failure};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    Ok,
    /// Good to know
    Info,
    /// Works, and may surprise
    Warn,
    /// Will not work
    Fail,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    /// What was looked at
    pub subject: String,
    pub grade: Grade,
    pub found: String,
    /// What to do
    pub help: Option<String>,
    /// The failure that a verb would end with
    pub code: Option<String>,
    #[serde(skip)]
    pub class: Option<&'static Code>,
}

impl Finding {
    fn new(subject: &str, grade: Grade, found: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), grade, found: found.into(), help: None, code: None, class: None }
    }

    pub fn ok(subject: &str, found: impl Into<String>) -> Self {
        Self::new(subject, Grade::Ok, found)
    }

    pub fn info(subject: &str, found: impl Into<String>) -> Self {
        Self::new(subject, Grade::Info, found)
    }

    pub fn warn(subject: &str, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..Self::new(subject, Grade::Warn, found) }
    }

    pub fn fail(subject: &str, code: &'static Code, found: impl Into<String>, help: impl Into<String>) -> Self {
        let finding = Self::new(subject, Grade::Fail, found);
        Self { help: Some(help.into()), code: Some(code.id.to_owned()), class: Some(code), ..finding }
    }

    pub fn of(subject: &str, failure: &Failure) -> Self {
        let found = match &failure.why {
            Some(why) => format!("{}: {why}", failure.what),
            None => failure.what.clone(),
        };
        Self { help: failure.help.clone(), ..Self::fail(subject, failure.code, found, "") }
    }

    /// As the failure of a verb that needs this.
    pub fn failure(&self) -> Option<Failure> {
        let failure = Failure::new(self.class?, self.found.clone());
        Some(match &self.help {
            Some(help) => failure.help(help.clone()),
            None => failure,
        })
    }
}
