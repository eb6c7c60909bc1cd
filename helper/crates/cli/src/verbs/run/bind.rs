use std::path::{Path, PathBuf};

use nixbox_report::Report;
use nixbox_supervisor::Bind;

use super::bad_bind;
use crate::context::here;

/// Of the words of `-v`. What they are put at is looked for where the instance is known.
pub fn all(words: &[String]) -> Result<Vec<Bind>, Report> {
    let here = here()?;
    words.iter().map(|word| one(word, &here)).collect()
}

fn one(word: &str, here: &Path) -> Result<Bind, Report> {
    let (paths, read_only) = match (word.strip_suffix(":ro"), word.strip_suffix(":rw")) {
        (Some(paths), _) => (paths, true),
        (None, Some(paths)) => (paths, false),
        (None, None) => (word, false),
    };
    let wrong = |why: &str| Report::from(bad_bind(format!("`{word}` is no possible -v"), why));
    let (from, at) = paths.split_once(':').ok_or_else(|| wrong("it names one path"))?;
    if from.is_empty() || at.is_empty() {
        return Err(wrong("one of its paths is empty"));
    }
    let from = here.join(from).canonicalize().map_err(|error| wrong(&format!("{from}: {error}")))?;
    Ok(Bind { from, at: PathBuf::from(at), read_only })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_paths_and_whether_it_may_be_written() {
        let bind = |word| one(word, Path::new("/")).unwrap();
        assert_eq!(bind("etc:/x"), Bind { from: "/etc".into(), at: "/x".into(), read_only: false });
        assert_eq!(bind("/etc:data:ro"), Bind { from: "/etc".into(), at: "data".into(), read_only: true });
        assert_eq!(bind("/etc:data:rw"), Bind { from: "/etc".into(), at: "data".into(), read_only: false });
        for word in ["/etc", ":/x", "/etc:", "/etc:ro", "/no/such/folder:/x"] {
            assert!(one(word, Path::new("/")).is_err(), "{word}");
        }
    }
}
