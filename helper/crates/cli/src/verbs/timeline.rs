use clap::ValueEnum;
use nixbox_control::{Request, TimelineRequest, ToolCall};
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::output::{Cell, Output, Tone, harmless};
use crate::stored::Stored;
use crate::times::{self, Moment};

/// Show what tools did in an instance, newest first
///
/// All that is on record: the calls of agents, through upstream's SDKs or `nixbox-helper tool`, and what was done to
/// files with `nixbox-helper fs`. Filters come first: `--limit 1 --status error` is the last failure.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper timeline --since 2h --status error\n  nixbox-helper timeline --path /src --format ndjson | jq .name\n  nixbox-helper timeline --follow"
)]
pub struct Args {
    #[command(flatten)]
    pub which: Which,
    /// How many; with `--follow`, how many of the past first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Only calls that are pending, or ended so
    #[arg(long, value_enum)]
    pub status: Option<CallStatus>,
    /// Only calls that started then or later: 2026-11-21T06:45:00Z, or 10m, 2h, 3d ago
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<Moment>,
    /// Only calls that started before
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub until: Option<Moment>,
    /// Only calls whose parameters name this path of the instance, or one below it
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// `json` is one document, `ndjson` a line for each call
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Go on with each call that begins or ends, oldest first; exit 3 where no owner serves the instance
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CallStatus {
    Pending,
    Success,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Ndjson,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub calls: Vec<Call>,
}

#[derive(Serialize, JsonSchema)]
pub struct Call {
    pub id: i64,
    pub name: String,
    /// What it was called with
    #[schemars(with = "Option<serde_json::Value>")]
    pub parameters: Option<Stored>,
    #[schemars(with = "Option<serde_json::Value>")]
    pub result: Option<Stored>,
    pub error: Option<String>,
    /// `pending`, `success` or `error`
    pub status: String,
    /// RFC 3339
    pub started_at: String,
    pub completed_at: Option<String>,
    pub duration_ms: Option<f64>,
    #[serde(skip)]
    started: f64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let asked = Asked::new(&args.which, context)?;
    let status = args.status.and_then(|status| status.to_possible_value());
    let request = Request::Timeline(TimelineRequest {
        limit: Some(args.limit),
        tool: args.tool,
        status: status.map(|status| status.get_name().to_owned()),
        since: args.since.map(|moment| moment.0),
        until: args.until.map(|moment| moment.0),
        path: args.path,
        follow: args.follow,
    });
    let output = &context.output;
    let format = if output.json { Format::Json } else { args.format };
    if args.follow {
        let talk = asked.ask_owner(&request)?;
        let heading = line(&["ID", "TOOL", "STATUS", "DURATION", "STARTED"].map(String::from));
        if format == Format::Table {
            output.data(output.paint(Tone::Dim, &heading) + "\n")?;
        }
        talk.lines(|told: ToolCall| {
            let call = call(told);
            match format {
                Format::Table => output.open_data(line(&cells(&call)) + "\n"),
                Format::Json | Format::Ndjson => output.open_data(ndjson(&call)?),
            }
        })?;
        return Ok(DONE);
    }
    let mut calls = Vec::new();
    let talk = asked.ask(&request)?;
    if format == Format::Ndjson {
        talk.lines(|told: ToolCall| output.open_data(ndjson(&call(told))?))?;
        return Ok(DONE);
    }
    talk.lines(|told: ToolCall| {
        calls.push(call(told));
        Ok(true)
    })?;
    match format {
        Format::Json => output.json(Answer { calls })?,
        _ => table(&calls, output)?,
    }
    Ok(DONE)
}

fn call(call: ToolCall) -> Call {
    Call {
        id: call.id,
        name: call.name,
        parameters: call.parameters.as_deref().map(Stored::new),
        result: call.result.as_deref().map(Stored::new),
        error: call.error,
        status: call.status,
        started_at: times::rfc3339(call.started_at),
        completed_at: call.completed_at.map(times::rfc3339),
        duration_ms: call.duration_ms,
        started: call.started_at,
    }
}

fn ndjson(call: &Call) -> Result<String, Report> {
    Ok(serde_json::to_string(call).map_err(std::io::Error::other)? + "\n")
}

fn cells(call: &Call) -> [String; 5] {
    let duration = call.duration_ms.map_or("-".into(), |ms| format!("{ms:.0} ms"));
    let (name, status) = (harmless(&call.name), harmless(&call.status));
    [call.id.to_string(), name, status, duration, times::for_tables(call.started)]
}

/// Lines that come one by one cannot wait for the widest.
fn line([id, name, status, duration, started]: &[String; 5]) -> String {
    format!("{id:<6}  {name:<20}  {status:<8}  {duration:<10}  {started}").trim_end().to_owned()
}

fn table(calls: &[Call], output: &Output) -> Result<(), Report> {
    let row = |call: &Call| {
        let [id, name, status, duration, started] = cells(call);
        let tone = match call.status.as_str() {
            "success" => Tone::Good,
            "error" => Tone::Bad,
            _ => Tone::Odd,
        };
        let why = call.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default().to_owned();
        vec![id.into(), name.into(), Cell::new(status, tone), duration.into(), started.into(), why.into()]
    };
    output.table(&["ID", "TOOL", "STATUS", "DURATION", "STARTED", "ERROR"], calls.iter().map(row).collect())
}
