use std::fmt::Write;

use crate::failure::{Failure, Place, Report};

/// For people: readable without colour.
pub fn text(report: &Report, colour: bool) -> String {
    let mut out = String::new();
    for failure in &report.failures {
        let (red, dim, off) = if colour { ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{red}error:{off} {} {dim}[{}]{off}", harmless(&failure.what), failure.code.id);
        if let Some(place) = &failure.place {
            let _ = writeln!(out, "  at:   {}", harmless(&located(place)));
        }
        if let Some(why) = &failure.why {
            let _ = writeln!(out, "  why:  {}", harmless(why));
        }
        if let Some(help) = &failure.help {
            let _ = writeln!(out, "  help: {}", harmless(help));
        }
    }
    out
}

/// What is quoted in a failure, such as a file's name, may hold what would move a terminal's cursor.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
}

/// For programs.
pub fn json(report: &Report) -> serde_json::Value {
    let failures: Vec<_> = report.failures.iter().map(one).collect();
    serde_json::json!({ "schema": 1, "exit": report.exit(), "errors": failures })
}

fn one(failure: &Failure) -> serde_json::Value {
    serde_json::json!({
        "code": failure.code.id,
        "what": failure.what,
        "why": failure.why,
        "help": failure.help,
        "file": failure.place.as_ref().map(|place| place.file.display().to_string()),
        "line": failure.place.as_ref().and_then(|place| place.line),
        "key": failure.place.as_ref().and_then(|place| place.key.as_deref()),
    })
}

fn located(place: &Place) -> String {
    let mut at = place.file.display().to_string();
    if let Some(line) = place.line {
        let _ = write!(at, ":{line}");
    }
    if let Some(key) = &place.key {
        let _ = write!(at, " ({key})");
    }
    at
}
