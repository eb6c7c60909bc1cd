//! The pages of docs/reference, made from what the program itself is made from.

use std::fmt::Write;

use clap::Command;
use nixbox_config::env::{Direction, Owner, REGISTRY};
use nixbox_report::{ALL, Exit};
use serde_json::Value;

use crate::cli;
use crate::verbs::schema::ANSWERS;

const MADE: &str = "<!-- Made by `nixbox-helper docs`; `just docs` makes it again. -->\n\n";

pub fn cli() -> String {
    let mut command = cli::command().term_width(100).disable_help_flag(true);
    command.build();
    let mut page =
        format!("{MADE}# nixbox-helper\n\n{}.\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    page += "Data goes to standard output, everything else to standard error. Options of every verb:\n\n";
    page += &format!("```text\n{}\n```\n\n", options(&command));
    page += "Exit codes:\n\n| code | meaning |\n|---|---|\n";
    for (code, meaning) in EXITS {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    page += "\nA verb that answers in JSON (`--json`): ";
    page += &ANSWERS.iter().map(|(verb, _)| format!("`{verb}`")).collect::<Vec<_>>().join(", ");
    page += ". `nixbox-helper schema VERB` prints the JSON Schema of its answer; failures go to standard error as JSON then, with the codes of [errors](errors.md).\n";
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        describe(verb, "##", &mut page);
    }
    page
}

const EXITS: [(u8, &str); 12] = [
    (0, "done"),
    (Exit::Unexpected as u8, "unexpected failure"),
    (Exit::Usage as u8, "usage or configuration"),
    (Exit::NotFound as u8, "no such thing"),
    (Exit::Held as u8, "held by another owner, which is named"),
    (Exit::Conflict as u8, "conflict, nothing changed"),
    (Exit::TimedOut as u8, "timed out"),
    (Exit::Refused as u8, "refused (policy, key)"),
    (Exit::Unavailable as u8, "engine or remote unavailable"),
    (125, "`exec` could not run its command; everything else it ends with is the command's own"),
    (Exit::NotExecutable as u8, "the command of `exec` is not executable"),
    (Exit::NoSuchCommand as u8, "the command of `exec` was not found"),
];

/// The options that stand in the help of every verb, once.
fn options(command: &Command) -> String {
    let mut lines = String::new();
    for option in command.get_arguments().filter(|arg| arg.is_global_set()) {
        let short = option.get_short().map_or("    ".into(), |short| format!("-{short}, "));
        let value = option.get_action().takes_values().then(|| option.get_value_names()).flatten();
        let value = value.map(|names| format!(" <{}>", names.join(" "))).unwrap_or_default();
        let name = format!("{short}--{}{value}", option.get_long().unwrap_or_default());
        let _ = writeln!(lines, "{name:<28}{}", option.get_help().map(ToString::to_string).unwrap_or_default());
    }
    lines.trim_end().to_owned()
}

fn describe(verb: &Command, heading: &str, page: &mut String) {
    let name = verb.get_bin_name().unwrap_or(verb.get_name()).trim_start_matches("nixbox-helper ").to_owned();
    let _ = write!(page, "\n{heading} {name}\n\n");
    // Without the options of every verb, which the page has above.
    let mut own = verb.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    let text = own.render_long_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let _ = write!(page, "```text\n{}\n```\n", lines.join("\n").trim());
    for inner in verb.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        describe(inner, "###", page);
    }
}

pub fn env() -> String {
    let mut page = format!("{MADE}# Environment variables\n\n");
    page += "`nixbox-helper env` and the Nix modules export the AgentFS variables; a secret's value is never among them. Unprefixed names mean the default instance. Where a name is marked so, there is one for each instance as well: `AGENTFS_<NAME>_…`, in upper case and with `_` for `-`.\n";
    let table = |page: &mut String, title: &str, about: &str, wanted: &dyn Fn(Owner, Direction) -> bool| {
        let _ = write!(page, "\n## {title}\n\n{about}\n\n| variable | each instance | |\n|---|---|---|\n");
        for one in REGISTRY.iter().filter(|one| wanted(one.owner, one.direction)) {
            let each = if one.per_instance { "yes" } else { "" };
            let _ = writeln!(page, "| `{}` | {each} | {} |", one.name, cell(one.about));
        }
    };
    table(&mut page, "Exported", "Set for a shell.", &|_, direction| direction != Direction::Read);
    table(
        &mut page,
        "Read",
        "Change what nixbox does. A flag beats a variable, a variable beats the file.",
        &|owner, direction| owner == Owner::Ours && direction != Direction::Exported,
    );
    table(&mut page, "Of other programs", "nixbox leaves their meaning as it is.", &|owner, _| {
        owner == Owner::Upstream
    });
    page
}

pub fn errors() -> String {
    let mut page = format!("{MADE}# Errors\n\n");
    page += "Each failure has a stable code, shown in brackets and as `code` with `--json`, and each code belongs to one exit code.\n\n| code | exit | when, and what to do |\n|---|---|---|\n";
    for code in ALL {
        let _ = writeln!(page, "| `{}` | {} | {} |", code.id, code.exit as u8, cell(code.about));
    }
    page
}

pub fn config() -> String {
    let schema = nixbox_config::schema();
    let mut page = format!("{MADE}# nixbox.toml\n\n");
    page += "A file with `version = 1` and one empty table `[instances.sandbox]` is complete. Unknown keys are errors. `nixbox-helper config schema` prints the JSON Schema that this page is made from; `nixbox-helper config show --origin` says where each setting came from.\n";
    section(&schema, "Top level", "", &mut page);
    page
}

/// One table of the file, then the tables in it.
fn section(schema: &Value, title: &str, path: &str, page: &mut String) {
    let _ = write!(page, "\n## {title}\n\n");
    if let Some(about) = schema["description"].as_str().filter(|_| !path.is_empty()) {
        let _ = write!(page, "{}\n\n", about.replace('\n', " "));
    }
    page.push_str("| key | type | default | |\n|---|---|---|---|\n");
    let mut inner = Vec::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let entries = &property["additionalProperties"];
        if property["properties"].is_object() {
            inner.push((format!("[{path}{key}]"), format!("{path}{key}."), property));
        } else if entries["properties"].is_object() {
            inner.push((format!("[{path}{key}.NAME]"), format!("{path}{key}.NAME."), entries));
        }
        let default = property
            .get("default")
            .filter(|value| !value.is_object())
            .map_or(String::new(), |value| format!("`{value}`"));
        let about = cell(property["description"].as_str().unwrap_or_default());
        let _ = writeln!(page, "| `{key}` | {} | {default} | {about} |", kind(property));
    }
    for (title, path, schema) in inner {
        section(schema, &title, &path, page);
    }
}

fn kind(property: &Value) -> String {
    let words: Vec<String> = match (&property["enum"], &property["oneOf"]) {
        (Value::Array(words), _) => words.iter().map(|word| format!("`{word}`")).collect(),
        (_, Value::Array(choices)) => choices
            .iter()
            .flat_map(|choice| match (&choice["const"], &choice["enum"]) {
                (Value::Null, Value::Array(words)) => words.clone(),
                (word, _) => vec![word.clone()],
            })
            .map(|word| format!("`{word}`"))
            .collect(),
        _ => Vec::new(),
    };
    match property["type"].as_str() {
        _ if !words.is_empty() => words.join(" "),
        Some("object") if property["additionalProperties"]["type"] == "string" => "table of strings".into(),
        Some("object") => "table".into(),
        Some(kind) => kind.into(),
        None => String::new(),
    }
}

/// A description in a Markdown table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
