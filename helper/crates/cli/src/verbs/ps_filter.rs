//! Which rows `ps` shows: `name=web`, `label=team=search`, `state=ready`, `health=unhealthy`.

use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    key: Key,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Label,
    State,
    Health,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let key = match key {
            "name" => Key::Name,
            "label" => Key::Label,
            "state" => Key::State,
            "health" => Key::Health,
            _ => return Err("filter by name=…, label=NAME or label=NAME=VALUE, state=… or health=…".into()),
        };
        match value {
            "" => Err("write what it has to be behind the `=`".into()),
            value => Ok(Self { key, value: value.into() }),
        }
    }
}

/// What a row can be chosen by. States and healths are as `--json` has them.
pub struct Chosen<'r> {
    pub name: &'r str,
    pub labels: Option<&'r BTreeMap<String, String>>,
    pub state: String,
    pub health: Option<String>,
}

/// Of those with one key any has to fit, and each key.
pub fn fits(filters: &[Filter], row: &Chosen<'_>) -> bool {
    let fits = |filter: &Filter| match filter.key {
        Key::Name => row.name == filter.value,
        Key::State => row.state == filter.value,
        Key::Health => row.health.as_deref() == Some(&filter.value),
        Key::Label => row.labels.is_some_and(|labels| match filter.value.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
            None => labels.contains_key(&filter.value),
        }),
    };
    [Key::Name, Key::Label, Key::State, Key::Health].into_iter().all(|key| {
        let mut of_key = filters.iter().filter(|filter| filter.key == key).peekable();
        of_key.peek().is_none() || of_key.any(fits)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_of_each_key_has_to_fit() {
        let labels = BTreeMap::from([("team".to_owned(), "search".to_owned())]);
        let row = Chosen { name: "a", labels: Some(&labels), state: "ready".into(), health: None };
        let shown = |words: &[&str]| {
            let filters: Vec<Filter> = words.iter().map(|word| word.parse().unwrap()).collect();
            fits(&filters, &row)
        };
        assert!(shown(&[]) && shown(&["name=b", "name=a"]) && shown(&["label=team", "state=ready"]));
        assert!(shown(&["label=team=search"]) && !shown(&["label=team=other"]) && !shown(&["health=healthy"]));
        assert!(!shown(&["name=a", "state=failed"]));
        assert!("colour=red".parse::<Filter>().is_err() && "name=".parse::<Filter>().is_err());
    }
}
