use std::ffi::OsString;

use nixbox_control::Checked;
use nixbox_report::Report;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use crate::context::Context;
use crate::output::Tone;
use crate::upkeep::Meant;

/// Look a database over, and repair it with --repair
///
/// Looks at what SQLite says of the file and at every rule of the AgentFS format: entries without inodes, folders that
/// nothing leads to, chunks that do not fit, links that are miscounted, whiteouts over what is there. Nothing is
/// written without --repair; with it, a copy is kept and what has lost its place goes to /lost+found. Nobody may have
/// the database open meanwhile (exit 4). One that is encrypted is named by its instance, which has the key.
///
/// Exit 0 when nothing is wrong, or all of it was repaired; 1 when something is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper fsck\n  nixbox-helper fsck sandbox --repair\n  nixbox-helper fsck ./old/agent.db --json | jq '.findings[].code'"
)]
pub struct Args {
    /// An instance, or the file of a database (with a slash or `.db` in it) [default: the default instance]
    #[arg(value_name = "NAME|FILE")]
    pub what: Option<OsString>,
    /// Put right what is wrong; the database as it was is kept beside it
    #[arg(long)]
    pub repair: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Answer {
    pub database: String,
    /// Nothing is wrong, or no longer
    pub clean: bool,
    pub findings: Vec<Finding>,
    /// The database as it was, where it was repaired
    pub backup: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct Finding {
    /// Stable
    pub code: String,
    pub what: String,
    pub count: u64,
    /// The first ten
    pub places: Vec<String>,
    /// What --repair does; none where there is no repair
    pub fix: Option<String>,
    pub repaired: bool,
}

/// The exit code of a database that is not whole.
const FOUND: u8 = 1;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let meant = Meant::by(args.what.as_deref(), context)?;
    let copy = args.repair.then(|| meant.copy("fsck"));
    let checked: Checked = meant.ask("fsck", copy.as_deref())?;
    let is_left = |code: &str| checked.left.iter().any(|left| left.code == code);
    let mut findings: Vec<Finding> = checked
        .found
        .iter()
        .chain(checked.left.iter().filter(|left| !checked.found.iter().any(|found| found.code == left.code)))
        .map(|finding| Finding {
            code: finding.code.clone(),
            what: finding.what.clone(),
            count: finding.count,
            places: finding.places.clone(),
            fix: finding.fix.clone(),
            repaired: !is_left(&finding.code),
        })
        .collect();
    findings.sort_by_key(|finding| finding.repaired);
    let answer = Answer {
        database: meant.database.display().to_string(),
        clean: checked.left.is_empty(),
        findings,
        backup: checked.backup.map(|path| path.display().to_string()),
    };
    let exit = if answer.clean { DONE } else { FOUND };
    match context.output.json {
        true => context.output.json(answer)?,
        false => context.output.data(page(&meant.name, &answer, context))?,
    }
    Ok(exit)
}

fn page(name: &str, answer: &Answer, context: &Context) -> String {
    let output = &context.output;
    let mut page = String::new();
    for finding in &answer.findings {
        let tone = if finding.repaired { Tone::Good } else { Tone::Bad };
        let done = if finding.repaired { " (repaired)" } else { "" };
        page += &format!("{}: {} ({}){done}\n", output.paint(tone, &finding.code), finding.what, finding.count);
        for place in &finding.places {
            page += &format!("  {}\n", output.paint(Tone::Dim, &visible(place)));
        }
        page += &match &finding.fix {
            Some(fix) => format!("  fix: {fix}\n"),
            None => "  fix: none; go back to a copy that is whole\n".to_owned(),
        };
    }
    if let Some(backup) = &answer.backup {
        page += &format!("as it was: {backup}\n");
    }
    page += &match (answer.findings.len(), answer.clean) {
        (0, _) => format!("{name}: nothing wrong\n"),
        (_, true) => format!("{name}: repaired\n"),
        (_, false) => {
            let repairable = answer.findings.iter().any(|finding| !finding.repaired && finding.fix.is_some());
            let help = if repairable { "; `--repair` puts right what can be" } else { "" };
            format!("{name}: not whole{help}\n")
        }
    };
    page
}

/// A place may hold a name that would move a terminal's cursor.
fn visible(place: &str) -> String {
    place.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
