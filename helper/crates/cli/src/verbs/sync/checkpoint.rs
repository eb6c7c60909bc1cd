use nixbox_control::{SyncLine, SyncRequest};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::{lines, unsaid};
use crate::asking::Asked;
use crate::output::Output;
use crate::review::shown;

#[derive(Serialize, JsonSchema)]
pub struct Checkpointed {
    /// Bytes of the database and the copy of the remote, with their logs
    pub before: u64,
    pub after: u64,
}

pub fn run(asked: &Asked, output: &Output) -> Result<(), Report> {
    let mut said = None;
    lines(asked, SyncRequest::Checkpoint, |line| {
        if let SyncLine::Checkpointed(sizes) = line {
            said = Some(sizes);
        }
    })?;
    let sizes = said.ok_or_else(unsaid)?;
    if output.json {
        return output.json(Checkpointed { before: sizes.before, after: sizes.after });
    }
    output.note(format!("{} -> {}", shown::size(sizes.before), shown::size(sizes.after)));
    Ok(())
}
