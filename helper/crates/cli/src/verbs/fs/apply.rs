//! Many changes as one.

use std::collections::BTreeMap;

use nixbox_control::{Applied, FilesRequest, Request, Response};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use crate::asking::{Asked, Which};
use crate::context::Context;

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// Nothing was changed: it was only seen that it can be done
    pub dry_run: bool,
    pub operations: u64,
    /// Of content that was written
    pub bytes: u64,
    /// How many operations of each name
    pub by_name: BTreeMap<String, u64>,
}

pub fn run(which: &Which, dry_run: bool, context: &Context) -> Result<(), Report> {
    let request = Request::Files(FilesRequest::Apply { dry_run });
    let mut talk = Asked::new(which, context)?.ask(&request)?;
    talk.send(&mut std::io::stdin().lock(), "standard input")?;
    let Response::Applied(Applied { operations, bytes, by_name }) = talk.finish()? else { return Ok(()) };
    if context.output.json {
        return context.output.json(Answer { dry_run, operations, bytes, by_name });
    }
    let counts: Vec<_> = by_name.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let counts = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
    context.output.note(match dry_run {
        true => format!("Can be applied: {counts}; nothing was changed"),
        false => format!("Applied: {counts}"),
    });
    Ok(())
}
