//! Key-value state.

use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::arguments::{Key, KvList, KvSet, MOST_ENTRIES};
use crate::desk::Open;
use crate::failure;

#[derive(Serialize, JsonSchema)]
pub(super) struct Got {
    key: String,
    /// Whether there is a value, which may be null
    exists: bool,
    value: Value,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    key: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Deleted {
    key: String,
    /// Whether there was a value
    deleted: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Keys {
    keys: Vec<String>,
    /// `after` of the call that goes on; null when these were the last
    next_after: Option<String>,
}

pub(super) fn get(asked: Key, open: &Open) -> Result<Answer, Report> {
    let found = open.kv.get(&asked.key).map_err(failure::working)?;
    let exists = found.is_some();
    // What another program stored may be no JSON; it is shown as the text it is.
    let value = found.map(|entry| serde_json::from_str(&entry.value).unwrap_or(Value::String(entry.value)));
    let value = value.unwrap_or_default();
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    Ok(Answer::new(text, Got { key: asked.key, exists, value }).recorded(json!({ "exists": exists })))
}

pub(super) fn set(asked: KvSet, open: &Open) -> Result<Answer, Report> {
    open.kv.set(&asked.key, &asked.value.to_string()).map_err(failure::working)?;
    Ok(Answer::new(format!("Set key: {}", asked.key), Done { key: asked.key }))
}

pub(super) fn delete(asked: Key, open: &Open) -> Result<Answer, Report> {
    let deleted = open.kv.delete(&asked.key).map_err(failure::working)?;
    let text = match deleted {
        true => format!("Deleted key: {}", asked.key),
        false => format!("There was no key: {}", asked.key),
    };
    Ok(Answer::new(text, Deleted { key: asked.key, deleted }).recorded(json!({ "deleted": deleted })))
}

pub(super) fn list(asked: KvList, open: &Open) -> Result<Answer, Report> {
    let limit = asked.limit.clamp(1, MOST_ENTRIES) as usize;
    let (mut keys, mut after) = (Vec::new(), asked.after);
    let more = loop {
        let page = open.kv.page(&asked.prefix, after.as_deref()).map_err(failure::working)?;
        let Some(last) = page.last() else { break false };
        after = Some(last.key.clone());
        keys.extend(page.into_iter().map(|entry| entry.key));
        if keys.len() > limit {
            break true;
        }
    };
    keys.truncate(limit);
    let next_after = keys.last().filter(|_| more).cloned();
    let note = next_after.as_ref().map(|after| format!("There are more; go on with after = {after:?}"));
    let text = serde_json::to_string_pretty(&keys).unwrap_or_default();
    let recorded = json!({ "keys": keys.len() });
    Ok(Answer::new(text, Keys { keys, next_after }).note(note).recorded(recorded))
}
