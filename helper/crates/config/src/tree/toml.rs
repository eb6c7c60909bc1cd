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
        let line = error.span().map(|span| lines.of_span(&span, text));
        let key = line.and_then(|line| keys.iter().rev().find(|(at, _)| *at == line)).map(|(_, key)| key.clone());
        let failure = Failure::new(&codes::CONFIG_SYNTAX, "The file is not valid TOML")
            .why(error.message())
            .help("A line is `key = value` or `[table]`; text stands in double quotes");
        problems.in_text(line, key, failure);
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

/// Every key that could be read, with its line, in the order of the file.
fn key_lines(table: &DeTable<'_>, lines: &Lines) -> Vec<(usize, String)> {
    fn walk(path: &str, table: &DeTable<'_>, lines: &Lines, found: &mut Vec<(usize, String)>) {
        for (name, value) in table {
            let name: &Spanned<Cow<'_, str>> = name;
            let key = join(path, name.get_ref());
            if let DeValue::Table(table) = value.get_ref() {
                walk(&key, table, lines, found);
            }
            found.push((lines.at(name.span().start), key));
        }
    }
    let mut found = Vec::new();
    walk("", table, lines, &mut found);
    // Of the keys on one line the longest says most: `[instances.a.mount]` holds three.
    found.sort_by_key(|(line, key)| (*line, key.len()));
    found
}
