use std::os::unix::ffi::OsStrExt;

use nixbox_control::{Change, Compared, Difference, Request, ReviewRequest};
use nixbox_report::Report;

use super::DONE;
use crate::asking::Talk;
use crate::context::Context;
use crate::output::{Output, Tone};
use crate::review::answer::{self, Stream, Totals};
use crate::review::{About, shown};

/// Show what is in the files that changed, as a patch that `git apply` takes
///
/// Paths may be given as in the mount, in the real project, or from the instance's root; a pattern without a slash is for
/// names. Binary files and files larger than 4 MiB are named and not shown. A line that begins with `#` says what git
/// has no word for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  nixbox-helper diff\n  nixbox-helper diff src '*.md' --stat\n  nixbox-helper diff sandbox > work.patch && git apply --check work.patch"
)]
pub struct Args {
    #[command(flatten)]
    pub about: About,
    /// How many lines came and went in each file
    #[arg(long, conflicts_with_all = ["name_only", "patch"])]
    pub stat: bool,
    /// Only the paths
    #[arg(long, conflicts_with = "patch")]
    pub name_only: bool,
    /// The patch, which is what comes without this
    #[arg(short, long)]
    pub patch: bool,
    /// Exit with 1 if there is any change
    #[arg(long)]
    pub exit_code: bool,
}

pub type Answer = answer::Answer<answer::Difference>;

pub fn run(args: Args, context: &Context) -> Result<u8, Report> {
    let output = &context.output;
    let (asked, paths) = args.about.resolve(context)?;
    let base = asked.instance().base.as_ref().map(|base| base.path.display().to_string());
    let request = match args.name_only && !output.json {
        true => ReviewRequest::Changes { paths },
        false => ReviewRequest::Differences { paths, patch: !args.stat && !args.name_only },
    };
    let talk = asked.ask(&Request::Review(request))?;
    let mut totals = Totals::default();
    if output.json {
        let mut stream = Stream::begin(output, asked.name(), base.as_deref())?;
        talk.lines(|found: Difference| {
            totals.count(&found.change);
            stream.put(&answer::Difference::new(found))
        })?;
        stream.end(&totals)?;
    } else if args.name_only {
        talk.lines(|change: Change| {
            totals.count(&change);
            // What a folder comes to is told by what is in it, here as in the patch.
            if shown::is_folder(&change) { Ok(true) } else { name(&change, output) }
        })?;
    } else if args.stat {
        stat(talk, &mut totals, output)?;
    } else {
        talk.lines(|found: Difference| {
            totals.count(&found.change);
            match found.patch {
                Some(patch) if output.coloured() => output.open_data(painted(patch.as_os_str().as_bytes(), output)),
                Some(patch) => output.open_data(patch.as_os_str().as_bytes()),
                None => Ok(true),
            }
        })?;
    }
    Ok(if args.exit_code && totals.all() > 0 { 1 } else { DONE })
}

fn name(change: &Change, output: &Output) -> Result<bool, Report> {
    let mut line = change.path.as_os_str().as_bytes().to_owned();
    line.push(b'\n');
    output.open_data(line)
}

fn stat(talk: Talk, totals: &mut Totals, output: &Output) -> Result<(), Report> {
    let (mut files, mut added, mut removed) = (0u64, 0, 0);
    talk.lines(|found: Difference| {
        totals.count(&found.change);
        if shown::is_folder(&found.change) {
            return Ok(true);
        }
        files += 1;
        let size = |side: Option<nixbox_control::Side>| shown::size(side.map_or(0, |side| side.size));
        let (before, after) = (size(found.change.before), size(found.change.after));
        let said = match found.compared {
            Compared::Lines { added: came, removed: went } => {
                added += came;
                removed += went;
                let came = output.paint(Tone::Good, &format!("+{came}"));
                format!("{came} {}", output.paint(Tone::Bad, &format!("-{went}")))
            }
            Compared::Nothing => "no lines".into(),
            Compared::Binary => format!("binary, {before} → {after}"),
            Compared::TooLarge => format!("too large, {before} → {after}"),
        };
        output.open_data(shown::line(&found.change, Some(&said), output))
    })?;
    output.note(format!("{files} files, {added} lines added, {removed} removed"));
    Ok(())
}

/// A patch for a terminal. Lines of text are told from headers by how many of them a hunk announces: a removed line
/// may begin with two dashes of its own.
fn painted(patch: &[u8], output: &Output) -> Vec<u8> {
    let mut shown = Vec::with_capacity(patch.len() + patch.len() / 8);
    let (mut old, mut new) = (0u64, 0u64);
    for line in patch.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let tone = match text.first() {
            _ if old == 0 && new == 0 => match hunk(text) {
                Some(announced) => {
                    (old, new) = announced;
                    Some(Tone::Odd)
                }
                None if text.starts_with(b"\\") => None,
                None => Some(Tone::Strong),
            },
            Some(b'-') => {
                old = old.saturating_sub(1);
                Some(Tone::Bad)
            }
            Some(b'+') => {
                new = new.saturating_sub(1);
                Some(Tone::Good)
            }
            Some(b'\\') => None,
            _ => {
                (old, new) = (old.saturating_sub(1), new.saturating_sub(1));
                None
            }
        };
        match tone {
            Some(tone) => shown.extend(output.paint_bytes(tone, text)),
            None => shown.extend_from_slice(text),
        }
        shown.push(b'\n');
    }
    shown
}

/// How many lines a hunk has of either side: `@@ -1,3 +1 @@`
fn hunk(line: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("@@ -")?.strip_suffix(" @@")?;
    let (old, new) = line.split_once(" +")?;
    let length = |range: &str| range.split_once(',').map_or(Some(1), |(_, length)| length.parse().ok());
    Some((length(old)?, length(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Color;

    #[test]
    fn a_removed_line_is_no_header() {
        let output = Output::new(false, false, Color::Always);
        let patch = b"--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n--- dashes\n x\n--- a/g\n";
        let shown = String::from_utf8_lossy(&painted(patch, &output)).into_owned();
        let bold = "\u{1b}[1m";
        assert!(shown.starts_with(&format!("{bold}--- a/f")), "{shown}");
        assert!(
            shown.contains("\u{1b}[31m--- dashes") && shown.ends_with(&format!("{bold}--- a/g\u{1b}[0m\n")),
            "{shown}"
        );
        assert_eq!(hunk(b"@@ -0,0 +1,12 @@"), Some((0, 12)));
    }
}
