//! Finds what looks like a secret that somebody wrote out. A guard rail, not a scanner: it errs towards what people
//! really paste, and refuses nothing that the Nix modules let through.

/// The words of a name that say "secret". `MAX_TOKENS = "4096"` has one too, which is why values count as well.
const ENDINGS: [&str; 9] =
    ["TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS"];
const KEYS: [&str; 6] = ["API", "PRIVATE", "ACCESS", "ENCRYPTION", "AGENTFS", "SIGNING"];
/// Names of places where a secret is, rather than secrets.
const REFERENCES: [&str; 7] = ["_FILE", "_COMMAND", "_ENV", "_PATH", "_DIR", "_SOCK", "_SOCKET"];
const HARMLESS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "none", "null"];
const QUERY: [&str; 9] =
    ["authToken", "auth_token", "access_token", "token", "password", "secret", "api_key", "apikey", "jwt"];

pub(crate) fn looks_like_one(name: &str, value: &str) -> bool {
    secret_value(value) || (secret_name(name) && !harmless(value))
}

/// Where a key is looked for, and a key stands instead.
pub(crate) fn looks_like_a_key(value: &str) -> bool {
    let key = |part: &str| part.len() >= 32 && part.bytes().any(|byte| byte.is_ascii_digit());
    value.split(|c: char| !c.is_ascii_hexdigit()).any(key) || secret_value(value)
}

fn harmless(value: &str) -> bool {
    HARMLESS.contains(&value) || (value.len() <= 6 && value.bytes().all(|b| b.is_ascii_digit()))
}

fn secret_name(name: &str) -> bool {
    let folded = name.to_uppercase().replace(['-', '.'], "_");
    if REFERENCES.iter().any(|end| folded.ends_with(end)) {
        return false;
    }
    let words: Vec<&str> = folded.split('_').collect();
    words.iter().enumerate().any(|(at, word)| {
        let after = |before: &str| at > 0 && words[at - 1].ends_with(before);
        *word == "AUTH"
            || ENDINGS.iter().any(|end| word.ends_with(end))
            || KEYS.iter().any(|key| word.ends_with(&format!("{key}KEY")) || (*word == "KEY" && after(key)))
    })
}

fn secret_value(value: &str) -> bool {
    private_key(value) || password_in_url(value) || token_in_query(value) || known_shape(value)
}

fn private_key(value: &str) -> bool {
    value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----")
}

/// `scheme://user:password@host`
fn password_in_url(value: &str) -> bool {
    value.match_indices("://").any(|(at, mark)| {
        let authority =
            value[at + mark.len()..].split(|c: char| c.is_whitespace() || "/?#".contains(c)).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}

fn token_in_query(value: &str) -> bool {
    value
        .split(['?', '&'])
        .skip(1)
        .any(|pair| pair.split_once('=').is_some_and(|(name, value)| !value.is_empty() && QUERY.contains(&name)))
}

/// Tokens of well-known services, and signed JSON tokens.
fn known_shape(value: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    value.split(|c| !part_of_word(c)).any(|word| {
        // A prefix, then at least twenty characters of its alphabet.
        let long = |prefix: &str, others: &str| {
            let rest = word.strip_prefix(prefix).unwrap_or_default();
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || others.contains(*c)).count() >= 20
        };
        let upper = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit();
        ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].iter().any(|prefix| long(prefix, ""))
            || long("github_pat_", "_")
            || long("sk-", "_-")
            || (word.starts_with("AKIA") && word.len() == 20 && word.bytes().all(upper))
            || (word.starts_with("eyJ") && word.split('.').filter(|part| !part.is_empty()).count() == 3)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The Nix modules are held against the same list.
    #[test]
    fn what_people_paste_is_found_and_what_they_write_is_not() {
        let cases: HashMap<&str, Vec<(String, String)>> =
            serde_json::from_str(include_str!("secret_cases.json")).unwrap();
        for (kind, is_one) in [("secret", true), ("harmless", false)] {
            for (name, value) in &cases[kind] {
                assert_eq!(looks_like_one(name, value), is_one, "{name} = {value}");
            }
        }
    }
}
