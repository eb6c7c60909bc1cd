use nixbox_control::Request;
use nixbox_report::Report;

use super::DONE;
use crate::asking::{Asked, Which};
use crate::context::Context;
use crate::handing::{self, Ends};

/// Speak MCP on standard input and output, for an agent that starts its servers itself
///
/// The owner that serves the instance answers, and where none does, one that is started for this session: other verbs
/// can ask it meanwhile. The session ends with standard input, or by TERM. `mcp.tools` in the configuration says which
/// tools may be called; each call is in the timeline.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper mcp sandbox\n  claude mcp add sandbox -- nixbox-helper mcp sandbox\n\nIn an .mcp.json:\n  { \"mcpServers\": { \"sandbox\": { \"command\": \"nixbox-helper\", \"args\": [\"mcp\", \"sandbox\"] } } }"
)]
pub struct Args {
    /// The instance [default: the default one]
    pub name: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    // Before any thread is there that a signal could end the process in.
    let ends = Ends::listen()?;
    let asked = Asked::new(&Which { instance: args.name }, context)?;
    handing::over(asked.ask(&Request::Mcp)?, ends)?;
    Ok(DONE)
}
