//! What `exclude` may hold. The engine reads the patterns; this only says early what it would refuse.

/// As in a `.gitignore`, but for `!`: what is hidden by one pattern is not shown by another.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    if pattern.trim_matches('/').is_empty() {
        return Err("it names nothing".to_owned());
    }
    if pattern.starts_with('!') {
        return Err("a pattern cannot bring back what another one hides".to_owned());
    }
    if pattern.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    globset::Glob::new(pattern).map(drop).map_err(|error| error.kind().to_string())
}
