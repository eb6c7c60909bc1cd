//! Loading content before it is read.

use nixbox_control::{SyncContent, SyncLine, SyncRequest};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::{lines, reach, unsaid};
use crate::asking::Asked;
use crate::output::Output;
use crate::progress::Progress;
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
    let mut progress = Progress::new("connecting", output);
    lines(asked, SyncRequest::Fetch { paths }, |line| match line {
        SyncLine::Loaded(content) => loaded = Some(Content::of(content)),
        SyncLine::Progress(far) => reach(&mut progress, far),
        _ => {}
    })?;
    drop(progress);
    let loaded = loaded.ok_or_else(unsaid)?;
    if output.json {
        return output.json(loaded);
    }
    match loaded.files {
        0 => output.note("all of it is here"),
        _ => output.note(format!("loaded {}", loaded.text())),
    }
    Ok(())
}
