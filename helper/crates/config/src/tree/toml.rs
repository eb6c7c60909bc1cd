use nixbox_report::{Failure, codes};
use toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::{Entry, Value};
use crate::problems::Problems;

pub(super) fn parse<'t>(text: &'t str, problems: &Problems) -> Option<Vec<Entry<'t>>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(entries(table.into_inner(), &lines));
    }
    for error in errors {
        let line = error.span().map_or_else(|| deepest_line(text), |span| lines.of_span(&span, text));
        let failure = Failure::new(&codes::CONFIG_SYNTAX, "The file is not valid TOML").why(error.message());
        let help = match error.message() {
            "duplicate key" => "Each key and each table stands once; put the two together",
            "recursion limit" => "No setting lies deeper than four tables",
            _ => "A line is `key = value` or `[table]`; text stands in double quotes",
        };
        problems.in_text(Some(line), key_on(line, text), failure.help(help));
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
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(
            items.into_iter().map(|item| (lines.at(item.span().start), convert(item.into_inner(), lines))).collect(),
        ),
    }
}

/// Where the parser gave up on nesting, which is the one error it gives no place for.
fn deepest_line(text: &str) -> usize {
    let depth = |line: &str| line.matches(['.', '[', '{']).count();
    // The first of several: `max_by_key` would take the last.
    text.lines().enumerate().min_by_key(|(_, line)| std::cmp::Reverse(depth(line))).map_or(1, |(at, _)| at + 1)
}

/// The key that a line is about, as far as its text tells: the text need not be valid.
pub(super) fn key_on(line: usize, text: &str) -> Option<String> {
    let mut upward = text.lines().take(line).collect::<Vec<_>>().into_iter().rev();
    let this = upward.next()?;
    let header = |line: &str| bare(line.trim_start().strip_prefix('[')?.trim_start_matches('['));
    if let Some(table) = header(this) {
        return Some(table);
    }
    match (upward.find_map(header), bare(this)) {
        (Some(table), Some(key)) => Some(format!("{table}.{key}")),
        (table, key) => table.or(key),
    }
}

/// The bare or dotted key that a text begins with.
fn bare(text: &str) -> Option<String> {
    let key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let text = text.trim_start();
    let end = text.find(|c| !key(c)).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_still_tell_their_key() {
        let text = "x y\n[a.b]\nkey = [\n\"?\n[[c\nd";
        let keys: Vec<_> = (1..=7).map(|line| key_on(line, text).unwrap_or_default()).collect();
        assert_eq!(keys, ["x", "a.b", "a.b.key", "a.b", "c", "c.d", "c.d"]);
        assert_eq!(key_on(1, ""), None);
    }
}
