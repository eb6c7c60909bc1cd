//! What is run at certain times.

use nixbox_report::codes;

use super::Table;
use crate::document::{At, ScheduleDocument};
use crate::span::Span;

pub(super) fn schedule(table: &mut Table<'_, '_>) -> ScheduleDocument {
    let document = ScheduleDocument {
        enable: table.flag("enable"),
        cron: table.text("cron"),
        at: table.text("at"),
        timezone: table.text("timezone"),
        run: command(table, "run"),
        exec: command(table, "exec"),
        instance: table.text("instance"),
        overlap: table.word("overlap"),
        jitter: table.span("jitter", Span::millis(0)),
        catch_up: table.flag("catch_up"),
    };
    let help = "write `cron`, such as cron = \"0 3 * * *\", or `at`, such as at = \"2026-11-21T06:45:00Z\"";
    one_of(table, ["cron", "at"], [line(&document.cron), line(&document.at)], help);
    let help = "write `run`, such as run = [\"sync\", \"push\"], or `exec`, such as exec = [\"make\", \"index\"]";
    let first = |words: &[At<String>]| words.first().map(|at| at.line);
    one_of(table, ["run", "exec"], [first(&document.run), first(&document.exec)], help);
    for (name, written, other, is_there) in [
        ("timezone", line(&document.timezone), "cron", document.cron.is_some()),
        ("instance", line(&document.instance), "exec", !document.exec.is_empty()),
    ] {
        if let (Some(line), false) = (written, is_there) {
            let what = format!("`{name}` means something for `{other}` alone");
            let _: Option<()> = table.report(&codes::CONFIG_VALUE, line, name, what, "leave it out");
        }
    }
    document
}

fn line(at: &Option<At<String>>) -> Option<usize> {
    at.as_ref().map(|at| at.line)
}

/// Exactly one of the two.
fn one_of(table: &Table<'_, '_>, names: [&'static str; 2], lines: [Option<usize>; 2], help: &str) {
    let [one, other] = names;
    // What is there and is none was reported.
    let was_asked = |name: &str| table.problems.has_key(&crate::tree::join(&table.path, name));
    let (line, name, what) = match lines {
        [None, None] if was_asked(one) || was_asked(other) => return,
        [None, None] => (table.line, one, format!("neither `{one}` nor `{other}` is there")),
        [Some(_), Some(line)] => (line, other, format!("`{one}` and `{other}` are both there")),
        _ => return,
    };
    let _: Option<()> = table.report(&codes::CONFIG_VALUE, line, name, what, help);
}

/// A program or a verb with its arguments; one that is written has one word at least.
fn command(table: &mut Table<'_, '_>, name: &'static str) -> Vec<At<String>> {
    let empty = table.entries.iter().find(|entry| entry.name == name && entry.value.is_empty_list());
    let line = empty.map(|entry| entry.line);
    let list = table.list(name);
    if let Some(line) = line {
        let what = format!("`{name}` is empty");
        let _: Option<()> = table.report(&codes::CONFIG_VALUE, line, name, what, "write the words of a command");
    }
    list
}
