use std::ffi::OsString;

use nixbox_control::Migrated;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::upkeep::Meant;

/// Bring a database of an older AgentFS up to date
///
/// Older databases are refused by everything else, and never changed unasked. The database as it was is kept, and takes
/// its place again should anything fail. What upstream's own migration leaves undone is done too: links are counted,
/// and inode numbers do not come back. Nobody may have the database open meanwhile (exit 4). One that is up to date is
/// not touched.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper migrate --dry-run\n  nixbox-helper migrate sandbox\n  nixbox-helper migrate ~/.agentfs/agent.db"
)]
pub struct Args {
    /// An instance, or the file of a database (with a slash or `.db` in it) [default: the default instance]
    #[arg(value_name = "NAME|FILE")]
    pub what: Option<OsString>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub database: String,
    /// The schema that it had
    pub from: String,
    pub to: String,
    pub dry_run: bool,
    /// What was done, or would be; nothing where it is up to date
    pub steps: Vec<String>,
    /// The database as it was
    pub backup: Option<String>,
}

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let meant = Meant::by(args.what.as_deref(), context)?;
    let copy = (!args.dry_run).then(|| meant.copy("migrate"));
    let Migrated { from, to, steps, backup } = meant.ask("migrate", copy.as_deref())?;
    let answer = Answer {
        database: meant.database.display().to_string(),
        from,
        to,
        dry_run: args.dry_run,
        steps,
        backup: backup.map(|path| path.display().to_string()),
    };
    match context.output.json {
        true => context.output.json(answer)?,
        false => context.output.data(page(&meant.name, &answer))?,
    }
    Ok(DONE)
}

fn page(name: &str, answer: &Answer) -> String {
    if answer.steps.is_empty() {
        return format!("{name}: schema {}, up to date\n", answer.from);
    }
    let would = if answer.dry_run { " would be migrated" } else { "" };
    let mut page = format!("{name}: schema {} -> {}{would}\n", answer.from, answer.to);
    for step in &answer.steps {
        page += &format!("  {step}\n");
    }
    if let Some(backup) = &answer.backup {
        page += &format!("as it was: {backup}\n");
    }
    page
}
