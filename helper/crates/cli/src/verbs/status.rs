use nixbox_config::Mode;
use nixbox_control::{Change, Request, ReviewRequest};
use nixbox_report::Report;

use super::DONE;
use crate::context::Context;
use crate::review::answer::{self, Stream, Totals};
use crate::review::groups::Groups;
use crate::review::{About, shown};

/// Show what an instance differs in from the folder below
///
/// A for added, M modified, D deleted, R renamed (the same content at another path), T for another kind of file; `!`
/// where the base's file was changed since, too. A file that was changed back is no change, and neither are times. Without
/// a base, everything was added. A folder that is new, gone or moved as a whole is one line, unless --all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper status\n  nixbox-helper status sandbox src '*.md'\n  nixbox-helper status --porcelain -z | while IFS=$'\\t' read -rd '' what before after path; do echo \"$path\"; done\n  nixbox-helper status --exit-code -q || echo 'there is work to review'\n\nRecords of --porcelain: four letters (A, M, D, R or T; c for content, m for mode, ! for changed in the base, too; - for\nnone), size before, size after, path, and of a rename the former path, with tabs between; folders end with a slash."
)]
pub struct Args {
    #[command(flatten)]
    pub about: About,
    /// Every file, also in folders that are new or gone
    #[arg(short, long)]
    pub all: bool,
    /// One record a change, every file, for scripts: this form stays
    #[arg(long)]
    pub porcelain: bool,
    /// Records end with NUL, and no path is quoted; means --porcelain
    #[arg(short = 'z')]
    pub zero: bool,
    /// Exit with 1 if there is any change
    #[arg(long)]
    pub exit_code: bool,
}

pub type Answer = answer::Answer<answer::Change>;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    let (asked, paths) = args.about.resolve(context)?;
    let base = asked.instance().base.as_ref().map(|base| base.path.display().to_string());
    let some_paths = !paths.is_empty();
    let talk = asked.ask(&Request::Review(ReviewRequest::Changes { paths }))?;
    let mut totals = Totals::default();
    if output.json {
        let mut stream = Stream::begin(output, asked.name(), base.as_deref())?;
        talk.lines(|change: Change| {
            totals.count(&change);
            stream.put(&answer::Change::new(&change))
        })?;
        stream.end(&totals)?;
    } else if args.porcelain || args.zero {
        talk.lines(|change: Change| {
            totals.count(&change);
            output.open_data(shown::porcelain(&change, args.zero))
        })?;
    } else {
        let mut groups = Groups::new(output);
        talk.lines(|change: Change| {
            totals.count(&change);
            match args.all {
                true => output.open_data(shown::line(&change, None, output)),
                false => groups.put(change),
            }
        })?;
        groups.end()?;
        output.note(match asked.instance().mode {
            Mode::Direct => "It writes to its base: what is done there is done, and nothing is kept apart".into(),
            _ => summary(&totals, base.as_deref(), some_paths),
        });
    }
    Ok(if args.exit_code && totals.all() > 0 { 1 } else { DONE })
}

pub fn summary(totals: &Totals, base: Option<&str>, some_paths: bool) -> String {
    if totals.all() == 0 {
        let there = if some_paths { " in these paths" } else { "" };
        return match base {
            Some(base) => format!("Nothing differs from {base}{there}"),
            None => format!("There is nothing{there}, and no base to compare with"),
        };
    }
    let counts = [
        (totals.added, "added"),
        (totals.modified, "modified"),
        (totals.deleted, "deleted"),
        (totals.renamed, "renamed"),
        (totals.type_changed, "of another kind"),
        (totals.diverged, "changed in the base, too"),
    ];
    let said: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let against = base.map_or("without a base".to_owned(), |base| format!("against {base}"));
    let (before, after) = (shown::size(totals.bytes_before), shown::size(totals.bytes_after));
    format!("{} {against}, {before} → {after}", said.join(", "))
}
