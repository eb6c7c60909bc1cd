//! A key that a program prints, such as a password manager.

use std::path::Path;
use std::time::Duration;

use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::command::{self, NotRan, last_line};
use zeroize::Zeroizing;

const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn output(words: &[String], root: &Path) -> Result<Zeroizing<String>, Report> {
    output_within(words, root, DEADLINE)
}

fn output_within(words: &[String], root: &Path, deadline: Duration) -> Result<Zeroizing<String>, Report> {
    let shown = words.join(" ");
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(&codes::KEY_COMMAND, format!("the command `{shown}` gave no key"))
            .why(why)
            .help("run it by hand: it must print the key and nothing else, and end with 0")
    };
    match command::run(words, root, Vec::new(), deadline, &|| false) {
        Ok(ran) if !ran.status.success() => Err(failed(&format!("{}{}", ran.status, last_line(&ran.complaint))).into()),
        Ok(ran) if ran.said.trim().is_empty() => Err(failed(&"it printed nothing").into()),
        Ok(ran) => Ok(ran.said),
        Err(NotRan::Failed(error)) => Err(failed(&error).into()),
        Err(NotRan::Silent) => {
            Err(Failure::new(&codes::KEY_SILENT, format!("the command `{shown}` did not end within {deadline:?}"))
                .why("it was killed")
                .help("run it by hand: it must not wait for anybody")
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::*;

    const LOOK: Duration = Duration::from_millis(5);

    fn run(script: &str, deadline: u64) -> Result<String, Report> {
        let words = ["sh", "-c", script].map(str::to_owned);
        output_within(&words, Path::new("/"), Duration::from_millis(deadline)).map(|said| said.to_string())
    }

    fn refused(script: &str, deadline: u64) -> (&'static str, String) {
        let failure = run(script, deadline).unwrap_err().failures.remove(0);
        (failure.code.id, failure.why.unwrap())
    }

    #[test]
    fn what_it_prints_is_the_key() {
        assert_eq!(run("pwd; echo noise >&2", 10_000).unwrap(), "/\n");
    }

    #[test]
    fn one_that_fails_says_why_and_shows_no_digits_of_a_key() {
        let (code, why) = refused("echo first >&2; echo no such entry >&2; exit 3", 10_000);
        assert_eq!((code, why.ends_with("3: no such entry")), ("nixbox::key::command", true), "{why}");
        let (_, why) = refused("echo key=0123456789abcdef0123456789abcdef >&2; exit 1", 10_000);
        assert!(!why.contains("0123"), "{why}");
        assert_eq!(refused("true", 10_000).1, "it printed nothing");
    }

    #[test]
    fn one_that_hangs_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        // Long enough on this machine for it to have begun.
        let child = [400, 4000, 40_000].into_iter().find_map(|deadline| {
            assert_eq!(refused(&script, deadline).0, "nixbox::key::silent");
            std::fs::read_to_string(&file).ok().filter(|pid| pid.ends_with('\n'))
        });
        let child = child.unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let until = Instant::now() + Duration::from_secs(90);
        while !gone() {
            assert!(Instant::now() < until, "{child} lives on");
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn one_that_is_not_there_is_no_key() {
        let words = ["/nonexistent/program".to_owned()];
        let report = output_within(&words, Path::new("/"), DEADLINE).unwrap_err();
        assert_eq!(report.failures[0].code, &codes::KEY_COMMAND);
    }
}
