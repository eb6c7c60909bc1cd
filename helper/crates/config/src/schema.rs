//! The JSON Schema of `nixbox.toml`, and the suggestions that come from knowing every key.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::document::Document;

/// JSON Schema, draft 2020-12. For editors, and for whoever writes the file by program.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(tidy));
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<Document>().to_value()
}

/// TOML has no null: a key that is not wanted is left out. And an editor shows a description as it stands, where
/// the line breaks of the source mean nothing.
fn tidy(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
    for word in ["type", "enum", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get_mut(word) else { continue };
        choices.retain(|choice| !(choice.is_null() || choice == "null" || choice["type"] == "null"));
        if word == "enum" || choices.len() != 1 {
            continue;
        }
        // A choice of one is no choice.
        match (choices.remove(0), schema.as_object_mut()) {
            (Value::Object(only), Some(schema)) => {
                schema.remove(word);
                for (key, value) in only {
                    schema.entry(key).or_insert(value);
                }
            }
            (only, Some(schema)) => drop(schema.insert(word.to_owned(), only)),
            (_, None) => {}
        }
    }
}

/// What to do about an unknown key in a table that has the `known` ones.
pub(crate) fn suggest(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = homes(&schema(), &name.to_lowercase().replace('-', "_"));
    match elsewhere.first() {
        Some(table) => format!("`{name}` belongs into {table}"),
        None if known.is_empty() => "leave it out".to_owned(),
        None => format!("leave it out; possible here are {}", known.join(", ")),
    }
}

/// The one that was probably meant. Case and the separator count little: `readOnly` is `read_only` in Nix.
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let wanted = plain(name);
    let distance = |word: &str| {
        let word = plain(word);
        let begins = word.len() >= 3 && wanted.starts_with(&word) || wanted.len() >= 3 && word.starts_with(&wanted);
        let distance = strsim::damerau_levenshtein(&wanted, &word);
        (begins || distance <= word.len() / 3).then_some(distance)
    };
    known.filter_map(|word| Some((distance(word)?, word))).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// The tables that have a key of that name.
fn homes(schema: &Value, name: &str) -> Vec<String> {
    fn walk(path: &str, schema: &Value, name: &str, found: &mut Vec<String>) {
        if let Some(keys) = schema["properties"].as_object() {
            if keys.contains_key(name) {
                found.push(if path.is_empty() { "the top of the file".to_owned() } else { format!("[{path}]") });
            }
            for (key, below) in keys {
                walk(&crate::tree::join(path, key), below, name, found);
            }
        }
        if schema["additionalProperties"].is_object() {
            walk(&format!("{path}.NAME"), &schema["additionalProperties"], name, found);
        }
    }
    let mut found = Vec::new();
    walk("", schema, name, &mut found);
    found
}
