use nixbox_control::{Request, Response, ToolDetails, ToolRequest};
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::stored::given_text;

/// Put tool calls on record
///
/// For programs that call tools; upstream's SDKs and `nixbox-helper timeline` show what is recorded. Each prints the
/// call's number.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper tool record grep --params '{\"pattern\": \"TODO\"}' --result '{\"hits\": 3}' --duration-ms 12\n  id=$(nixbox-helper tool start build) && make; nixbox-helper tool finish \"$id\" --result \"$?\""
)]
pub struct Args {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Record a call that is over
    #[command(
        after_help = "Examples:\n  nixbox-helper tool record grep --params '{\"pattern\": \"TODO\"}' --result '{\"hits\": 3}' --duration-ms 12\n  nixbox-helper tool record fetch --error 'no route to host'"
    )]
    Record {
        #[command(flatten)]
        which: Which,
        /// The tool
        name: String,
        /// What it was called with, JSON; `-` reads it from standard input
        #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
        params: Option<String>,
        #[command(flatten)]
        outcome: Outcome,
        /// How long it took, until now
        #[arg(long, value_name = "MS", default_value_t = 0)]
        duration_ms: u64,
    },
    /// Record that a call begins
    #[command(after_help = "Examples:\n  id=$(nixbox-helper tool start build --params '{\"target\": \"all\"}')")]
    Start {
        #[command(flatten)]
        which: Which,
        /// The tool
        name: String,
        /// What it is called with, JSON; `-` reads it from standard input
        #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
        params: Option<String>,
    },
    /// Record how a call that was started has ended; exit 5 where it had ended before
    #[command(
        after_help = "Examples:\n  nixbox-helper tool finish 7 --result '{\"ok\": true}'\n  nixbox-helper tool finish 7 --error 'it crashed'"
    )]
    Finish {
        #[command(flatten)]
        which: Which,
        /// Its number
        id: i64,
        #[command(flatten)]
        outcome: Outcome,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Outcome {
    /// What it came to, JSON; `-` reads it from standard input
    #[arg(long, value_name = "JSON", conflicts_with = "error", allow_hyphen_values = true)]
    pub result: Option<String>,
    /// It failed, and this is why
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    /// The call's number
    pub id: i64,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let (which, request, params, outcome) = match args.what {
        What::Record { which, name, params, outcome, duration_ms } => {
            (which, ToolRequest::Record { name, duration_ms }, params, Some(outcome))
        }
        What::Start { which, name, params } => (which, ToolRequest::Start { name }, params, None),
        What::Finish { which, id, outcome } => (which, ToolRequest::Finish { id }, None, Some(outcome)),
    };
    let (result, error) = outcome.map_or((None, None), |outcome| (outcome.result, outcome.error));
    if params.as_deref() == Some("-") && result.as_deref() == Some("-") {
        return Err(Failure::new(&codes::USAGE, "standard input can be read once")
            .help("give `--params` or `--result` in another way")
            .into());
    }
    let given = |value: Option<String>, what| value.map(|value| given_text(&value, what)).transpose();
    let details = ToolDetails {
        parameters: given(params, "the value of `--params`")?,
        result: given(result, "the value of `--result`")?,
        error,
    };
    let details = serde_json::to_vec(&details).map_err(std::io::Error::other)?;
    let asked = Asked::new(&which, context)?;
    if let Response::Call { id } = asked.tell_with(&Request::Tool(request), &details, "the call")? {
        match context.output.json {
            true => context.output.json(Answer { id })?,
            false => context.output.data(format!("{id}\n"))?,
        }
    }
    Ok(DONE)
}
