use std::borrow::Cow;

use nixbox_report::{Failure, codes};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::{Entry, Value, join};
use crate::problems::Problems;

pub(super) fn parse<'t>(text: &'t str, problems: &Problems) -> Option<Vec<Entry<'t>>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(entries(table.into_inner(), &lines));
    }
    let keys = key_lines(table.get_ref(), &lines);
    for error in errors {
        let line = error.span().map_or_else(|| deepest_line(text), |span| lines.of_span(&span, text));
        let failure = Failure::new(&codes::CONFIG_SYNTAX, "The file is not valid TOML").why(error.message());
        let help = match error.message() {
            "duplicate key" => "Each key and each table stands once; put the two together",
            "recursion limit" => "No setting lies deeper than four tables",
            _ => "A line is `key = value` or `[table]`; text stands in double quotes",
        };
        problems.in_text(Some(line), key_at(line, &keys), failure.help(help));
    }
    None
}

fn entries<'t>(table: DeTable<'t>, lines: &Lines) -> Vec<Entry<'t>> {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(name, value)| Entry {
            line: lines.at(name.span().start),
            name: name.into_inner(),
            value: convert(value.into_inner(), lines),
        })
        .collect();
    // Problems and origins read best in the order of the file.
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn convert<'t>(value: DeValue<'t>, lines: &Lines) -> Value<'t> {
    match value {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(number) => {
            let saturated = if number.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(saturated))
        }
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Table(table) => Value::Table(entries(table, lines)),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(_) => Value::Other("an array"),
    }
}

/// The key on a line of a text that need not be valid.
pub(super) fn key_on(line: usize, text: &str) -> Option<String> {
    key_at(line, &key_lines(DeTable::parse_recoverable(text).0.get_ref(), &Lines::of(text)))
}

/// Where the parser gave up on nesting, which is the one error it gives no place for.
fn deepest_line(text: &str) -> usize {
    let depth = |line: &str| line.matches(['.', '[', '{']).count();
    // The first of several: `max_by_key` would take the last.
    text.lines().enumerate().min_by_key(|(_, line)| std::cmp::Reverse(depth(line))).map_or(1, |(at, _)| at + 1)
}

/// A key that could be read in spite of the errors.
struct Found {
    line: usize,
    key: String,
    is_table: bool,
}

/// In the order of the file.
fn key_lines(table: &DeTable<'_>, lines: &Lines) -> Vec<Found> {
    fn walk(path: &str, table: &DeTable<'_>, lines: &Lines, found: &mut Vec<Found>) {
        for (name, value) in table {
            let name: &Spanned<Cow<'_, str>> = name;
            let (key, is_table) = (join(path, name.get_ref()), value.get_ref().is_table());
            if let DeValue::Table(table) = value.get_ref() {
                walk(&key, table, lines, found);
            }
            found.push(Found { line: lines.at(name.span().start), key, is_table });
        }
    }
    let mut found = Vec::new();
    walk("", table, lines, &mut found);
    // Of the keys on one line the longest says most: `[instances.a.mount]` holds three.
    found.sort_by_key(|found| (found.line, found.key.len()));
    found
}

/// The key on a line, else the table that the line stands in.
fn key_at(line: usize, keys: &[Found]) -> Option<String> {
    let mut above = keys.iter().rev().filter(|found| found.line <= line);
    above.find(|found| found.line == line || found.is_table).map(|found| found.key.clone())
}
