use std::io::IsTerminal;

use nixbox_control::{KvEntry, KvRequest, Request};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::Output;
use crate::stored::{Stored, given, given_text};
use crate::times;

/// Read and write an instance's key-value state
///
/// Values are JSON, as upstream's SDKs have them. Works while the instance is mounted and while nobody serves it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper kv set plan '{\"step\": 3}'\n  nixbox-helper kv get plan | jq .step\n  nixbox-helper kv list user/"
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print a value; exit 3 where there is none
    #[command(
        after_help = "Examples:\n  nixbox-helper kv get plan\n  nixbox-helper kv get greeting --raw    # text without its quotes"
    )]
    Get {
        #[command(flatten)]
        which: Which,
        key: String,
        /// Print a JSON string as the text it holds
        #[arg(long)]
        raw: bool,
    },
    /// Store a value, in place of any under that key
    #[command(
        after_help = "Examples:\n  nixbox-helper kv set plan '{\"step\": 3}'\n  nixbox-helper kv set greeting --string 'Hello there'\n  jq .config app.json | nixbox-helper kv set config -"
    )]
    Set {
        #[command(flatten)]
        which: Which,
        key: String,
        /// JSON; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Store the value as text, whatever it looks like
        #[arg(long)]
        string: bool,
    },
    /// List the keys, or only those that begin with a prefix
    #[command(
        after_help = "Examples:\n  nixbox-helper kv list\n  nixbox-helper kv list user/ --json | jq '.entries[].value'"
    )]
    List {
        #[command(flatten)]
        which: Which,
        prefix: Option<String>,
    },
    /// Remove values; exit 3 where one is not there
    #[command(after_help = "Examples:\n  nixbox-helper kv delete plan\n  nixbox-helper kv delete a b c")]
    Delete {
        #[command(flatten)]
        which: Which,
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

#[derive(Serialize, JsonSchema)]
pub struct Entry {
    pub key: String,
    #[schemars(with = "serde_json::Value")]
    pub value: Stored,
    /// RFC 3339; null where another program left it out
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Listed {
    pub entries: Vec<Entry>,
}

#[derive(Serialize, JsonSchema)]
pub struct Written {
    pub key: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Deleted {
    pub keys: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    match args.what {
        What::Get { which, key, raw } => {
            let asked = Asked::new(&which, context)?;
            let entry = entries(&asked, KvRequest::Get { key })?.pop();
            match entry {
                Some(entry) if output.json => output.json(entry)?,
                Some(entry) if raw => output.data(entry.value.raw())?,
                Some(entry) => output.data(format!("{}\n", entry.value.json()))?,
                None => {}
            }
        }
        What::Set { which, key, value, string } => {
            let value = match string {
                true => serde_json::to_vec(&given_text(&value, "the value")?).map_err(std::io::Error::other)?,
                false => given(&value)?,
            };
            let request = Request::Kv(KvRequest::Set { key: key.clone() });
            Asked::new(&which, context)?.tell_with(&request, &value, "the value")?;
            if output.json {
                output.json(Written { key })?;
            }
        }
        What::List { which, prefix } => {
            let asked = Asked::new(&which, context)?;
            list(entries(&asked, KvRequest::List { prefix: prefix.unwrap_or_default() })?, output)?;
        }
        What::Delete { which, keys } => {
            let asked = Asked::new(&which, context)?;
            for key in &keys {
                asked.tell(&Request::Kv(KvRequest::Delete { key: key.clone() }))?;
            }
            if output.json {
                output.json(Deleted { keys })?;
            }
        }
    }
    Ok(DONE)
}

fn entries(asked: &Asked, request: KvRequest) -> Result<Vec<Entry>, Report> {
    let mut entries = Vec::new();
    asked.ask(&Request::Kv(request))?.lines(|entry: KvEntry| {
        let time = |seconds: Option<i64>| seconds.map(|seconds| times::rfc3339(seconds as f64));
        entries.push(Entry {
            value: Stored::new(&entry.value),
            created_at: time(entry.created_at),
            updated_at: time(entry.updated_at),
            key: entry.key,
        });
        Ok(true)
    })?;
    Ok(entries)
}

/// Keys alone for a program, one a line.
fn list(entries: Vec<Entry>, output: &Output) -> Result<(), Report> {
    if output.json {
        return output.json(Listed { entries });
    }
    if !std::io::stdout().is_terminal() {
        return output.data(entries.iter().map(|entry| format!("{}\n", entry.key)).collect::<String>());
    }
    let shorten = |text: &str| match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let rows = entries.iter().map(|entry| {
        vec![
            entry.key.as_str().into(),
            shorten(entry.value.json()).into(),
            entry.updated_at.clone().unwrap_or_default().into(),
        ]
    });
    output.table(&["KEY", "VALUE", "UPDATED"], rows.collect())
}
