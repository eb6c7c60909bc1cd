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
mod tests {
    use super::*;

    #[test]
    fn names_that_say_secret_are_refused() {
        for name in [
            "TOKEN",
            "GITHUB_TOKEN",
            "my-secret",
            "DB_PASSWORD",
            "OPENAI_API_KEY",
            "APIKEY",
            "AWS_SECRET_ACCESS_KEY",
            "PGPASSWORD",
            "NPM_TOKENS_2",
            "PROXY_AUTH",
            "SIGNING_KEY",
            "MYTOKEN",
        ] {
            assert!(looks_like_one(name, "hunter2"), "{name}");
        }
    }

    #[test]
    fn names_of_places_and_ordinary_names_are_not() {
        for name in [
            "TOKEN_FILE",
            "API_KEY_COMMAND",
            "SECRET_ENV",
            "PASSWORD_PATH",
            "SSH_AUTH_SOCK",
            "KEYBOARD",
            "MONKEY",
            "AUTHOR",
            "SORT_KEY",
            "TOKENIZER",
            "PRIMARY_KEY",
        ] {
            assert!(!looks_like_one(name, "hunter2"), "{name}");
        }
        assert!(!looks_like_one("MAX_TOKENS", "4096"));
        assert!(!looks_like_one("AUTH", "off"));
    }

    #[test]
    fn values_give_themselves_away_under_any_name() {
        for value in [
            "postgres://app:hunter2@db/x",
            "libsql://x.turso.io?authToken=abc",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "ghp_0123456789abcdefghijABCDEFGHIJ",
            "Bearer eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM",
            "key=AKIAABCDEFGHIJKLMNOP",
        ] {
            assert!(looks_like_one("URL", value), "{value}");
        }
        for value in [
            "http://localhost:8080/a@b",
            "https://x/?page=2",
            "sk-short",
            "http://user@host/",
            "1.2.3",
            "ghp_short-words-and-more-words",
            "see http://x: me@y",
        ] {
            assert!(!looks_like_one("URL", value), "{value}");
        }
    }
}
