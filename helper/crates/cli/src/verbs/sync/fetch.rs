//! Loading content before it is read.

use nixbox_control::{SyncContent, SyncLine, SyncRequest};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::lines;
use crate::asking::Asked;
use crate::output::Output;
use crate::review::shown;

#[derive(Serialize, JsonSchema)]
pub struct Content {
    pub files: u64,
    pub bytes: u64,
}

impl Content {
    pub fn of(content: SyncContent) -> Self {
        Self { files: content.files, bytes: content.bytes }
    }

    pub fn text(&self) -> String {
        let files = if self.files == 1 { "1 file".to_owned() } else { format!("{} files", self.files) };
        format!("{files}, {}", shown::size(self.bytes))
    }
}

pub fn fetch(asked: &Asked, paths: Vec<String>, output: &Output) -> Result<(), Report> {
    let mut loaded = None;
    lines(asked, SyncRequest::Fetch { paths }, |line| {
        if let SyncLine::Loaded(content) = line {
            loaded = Some(Content::of(content));
        }
    })?;
    let Some(loaded) = loaded else {
        return Err(Failure::new(&codes::UNEXPECTED, "the owner did not say what it has loaded").into());
    };
    if output.json {
        return output.json(loaded);
    }
    match loaded.files {
        0 => output.note("all of it is here"),
        _ => output.note(format!("loaded {}", loaded.text())),
    }
    Ok(())
}
