//! What a search is for.

use globset::GlobBuilder;
use nixbox_control::FileKind;
use nixbox_engine::{Found, Time, Wanted};
use nixbox_report::{Failure, Report, codes};

use super::entry;

/// A pattern without a slash is for names, one with a slash for paths below where the search begins.
pub(crate) fn wanted(
    glob: &str,
    kind: Option<FileKind>,
    min_size: Option<u64>,
    newer: Option<f64>,
) -> Result<impl Fn(&Found) -> bool + Clone + Send + 'static, Report> {
    let pattern = glob.trim_start_matches('/');
    let by_path = glob.contains('/');
    let matcher = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| {
            let failure = Failure::new(&codes::FILE_PATTERN, format!("`{glob}` is no pattern")).why(error.kind());
            Report::from(failure.help("`*` stands for part of a name, `**/` for any folders, `{a,b}` for either"))
        })?
        .compile_matcher();
    let newer = newer.map(|at| Time { sec: at.floor() as i64, nsec: ((at - at.floor()) * 1e9) as u32 });
    let more = Wanted { kind: None, min_size, newer };
    Ok(move |found: &Found| {
        let named = match (by_path, found.path.file_name()) {
            (true, _) => matcher.is_match(&found.path),
            (false, Some(name)) => matcher.is_match(name),
            (false, None) => false,
        };
        named && kind.is_none_or(|kind| kind == entry::kind(found.attr.kind)) && more.is(found)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nixbox_engine::{Attr, Kind};

    fn found(path: &str, kind: Kind, size: u64, sec: i64) -> Found {
        let time = Time { sec, nsec: 0 };
        let attr = Attr {
            ino: 2,
            kind,
            perm: 0,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size,
            atime: time,
            mtime: time,
            ctime: time,
        };
        Found { path: path.into(), attr, target: None }
    }

    #[test]
    fn patterns_are_for_names_or_for_paths() {
        let is = |glob: &str, path: &str| wanted(glob, None, None, None).unwrap()(&found(path, Kind::File, 1, 1));
        assert!(
            is("*.rs", "src/a/main.rs") && is("src/**/*.rs", "src/a/main.rs") && is("/src/*/main.rs", "src/a/main.rs")
        );
        assert!(is("src/**/*.rs", "src/main.rs") && is("{a,b}.txt", "b.txt") && is("*", "x/y"));
        assert!(!is("*.rs", "main.rsx") && !is("src/*.rs", "src/a/main.rs") && !is("main", "main.rs"));
        assert_eq!(wanted("a[", None, None, None).err().unwrap().failures[0].code, &codes::FILE_PATTERN);
    }

    #[test]
    fn all_that_is_asked_for_has_to_hold() {
        let is = |kind, min_size, newer: Option<f64>| {
            wanted("*", kind, min_size, newer).unwrap()(&found("f", Kind::File, 10, 100))
        };
        assert!(is(Some(FileKind::File), Some(10), Some(99.5)));
        assert!(!is(Some(FileKind::Folder), None, None) && !is(None, Some(11), None) && !is(None, None, Some(100.0)));
    }
}
