//! Key-value state.

use nixbox_control::{KvEntry, KvRequest, Response};
use nixbox_report::{Failure, codes};

use super::json;
use super::talk::{Ended, Talk, lines};
use crate::desk::Request;
use crate::failure;

pub(super) async fn answer(asked: KvRequest, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    match asked {
        KvRequest::Set { key } => {
            let value = talk.value(request.stop()).await?;
            let value = json(value).map_err(|why| not_json(&why))?;
            request.work(move |open| open.kv.set(&key, &value).map_err(failure::working)).await?;
            Ok(talk.say(&Response::Done).await?)
        }
        KvRequest::Get { key } => {
            let wanted = key.clone();
            let found = request.work(move |open| open.kv.get(&wanted).map_err(failure::working)).await?;
            let found = found.ok_or_else(|| missing(&key))?;
            talk.begin_body().await?;
            talk.send(&lines([entry(found)]), request.stop()).await?;
            Ok(talk.end_body().await?)
        }
        KvRequest::Delete { key } => {
            let wanted = key.clone();
            match request.work(move |open| open.kv.delete(&wanted).map_err(failure::working)).await? {
                true => Ok(talk.say(&Response::Done).await?),
                false => Err(missing(&key).into()),
            }
        }
        KvRequest::List { prefix } => list(prefix, talk, request).await,
    }
}

async fn list(prefix: String, talk: &mut Talk, request: &Request) -> Result<(), Ended> {
    let mut behind: Option<String> = None;
    let mut begun = false;
    loop {
        let (prefix, after) = (prefix.clone(), behind.take());
        let page = request.work(move |open| open.kv.page(&prefix, after.as_deref()).map_err(failure::working)).await?;
        if !std::mem::replace(&mut begun, true) {
            talk.begin_body().await?;
        }
        behind = page.last().map(|entry| entry.key.clone());
        if behind.is_none() {
            return Ok(talk.end_body().await?);
        }
        talk.send(&lines(page.into_iter().map(entry)), request.stop()).await?;
    }
}

fn entry(entry: nixbox_engine::KvEntry) -> KvEntry {
    KvEntry { key: entry.key, value: entry.value, created_at: entry.created_at, updated_at: entry.updated_at }
}

fn missing(key: &str) -> Failure {
    Failure::new(&codes::KV_MISSING, format!("nothing is stored under `{key}`"))
        .help("`nixbox-helper kv list` shows the keys there are")
}

fn not_json(why: &str) -> Failure {
    Failure::new(&codes::KV_VALUE, "the value is not JSON")
        .why(why)
        .help("write text with its quotes ('\"text\"'), or use `--string`")
}
