//! Commands run in the foreground, each with what it finds and how it ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::io;

use common::shell;
use nix::unistd::geteuid;
use nixbox_supervisor::{Account, Bind, Ending, Foreground, View};

fn said(ending: &Ending) -> &str {
    std::str::from_utf8(&ending.output.stdout).unwrap()
}

#[test]
fn a_command_ends_with_its_own_code_and_says_what_it_says() {
    let ended = shell("echo out; echo err >&2; exit 7").run().unwrap();
    assert_eq!((ended.code(), said(&ended), &*ended.output.stderr), (7, "out\n", &b"err\n"[..]));
    assert_eq!(shell("kill -KILL $$").run().unwrap().code(), 128 + 9);
    let ended = Foreground { env: vec![("A".into(), "b c".into())], cwd: "/usr".into(), ..shell("echo $A; pwd") }.run();
    assert_eq!(said(&ended.unwrap()), "b c\n/usr\n");
}

#[test]
fn what_cannot_be_run_is_told_from_what_cannot_be_found() {
    let kind = |program: &str| Foreground { program: program.into(), ..shell("") }.run().unwrap_err().kind();
    assert_eq!(kind("no-such-program-anywhere"), io::ErrorKind::NotFound);
    assert_eq!(kind("/etc/passwd"), io::ErrorKind::PermissionDenied);
    let nowhere = Foreground { cwd: "/no/such/folder".into(), ..shell("true") }.run().unwrap_err();
    assert_eq!(nowhere.kind(), io::ErrorKind::Other);
    assert!(nowhere.to_string().starts_with("/no/such/folder: "), "{nowhere}");
}

#[test]
fn it_inherits_nothing_that_is_open_and_no_mask() {
    let file = std::fs::File::open("/etc/passwd").unwrap();
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let ended = shell("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status").run().unwrap();
    // The fourth is that of the listing itself.
    assert_eq!(said(&ended), "4\nSigBlk:\t0000000000000000\n");
}

#[test]
fn a_view_is_seen_by_the_command_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, at) = (folder.path().join("shown"), folder.path().join("at"));
    for (dir, text) in [(&shown, "view"), (&at, "real")] {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("f"), text).unwrap();
    }
    let script = format!("cat f; pwd; cat {0}/f; echo changed >{0}/f", at.display());
    let view = Some(View { shown: shown.clone(), at: at.clone(), binds: Vec::new() });
    let ended = Foreground { view, cwd: at.clone(), ..shell(&script) }.run().unwrap();
    if let Some(why) = ended.without_view {
        // Somebody who may not mount works where the view really is, and the hidden folder stays as it is all the same.
        assert!(!geteuid().is_root(), "{why}");
        return;
    }
    assert_eq!(said(&ended), format!("view{}\nview", at.display()));
    assert_eq!(std::fs::read_to_string(shown.join("f")).unwrap(), "changed\n");
    assert_eq!(std::fs::read_to_string(at.join("f")).unwrap(), "real");
    assert!(!std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&at.display().to_string()));
}

#[test]
fn a_view_that_cannot_be_made_leaves_the_hidden_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, at) = (folder.path().join("shown"), folder.path().join("gone"));
    std::fs::create_dir_all(shown.join("sub")).unwrap();
    let view = Some(View { shown: shown.clone(), at: at.clone(), binds: Vec::new() });
    let ended = Foreground { view, cwd: at.join("sub"), ..shell("pwd") }.run().unwrap();
    assert!(ended.without_view.is_some());
    assert_eq!(said(&ended), format!("{}\n", shown.join("sub").display()));
}

#[test]
fn it_can_be_somebody_else() {
    assert_eq!(Account::named("nobody-of-this-name").unwrap(), None);
    if !geteuid().is_root() {
        return;
    }
    let user = Account::named("nobody").unwrap();
    let ended = Foreground { user, ..shell("id -un; echo $USER; id -G") }.run().unwrap();
    let lines: Vec<_> = said(&ended).lines().collect();
    assert_eq!(lines[..2], ["nobody", "nobody"]);
    assert!(!lines[2].split(' ').any(|group| group == "0"), "{lines:?}");
    let user = Account::named("4321:1234").unwrap();
    let ended = Foreground { user, ..shell("id -u; id -g") }.run().unwrap();
    assert_eq!(said(&ended), "4321\n1234\n");
}

#[test]
fn what_is_bound_is_what_really_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    let [shown, at, other] = ["shown", "at", "other"].map(|name| folder.path().join(name));
    for (dir, text) in [(&shown, "view"), (&at, "real"), (&other, "other")] {
        std::fs::create_dir_all(dir.join("in")).unwrap();
        std::fs::write(dir.join("f"), text).unwrap();
    }
    let bind = |from: &std::path::Path, to: &str, read_only| Bind { from: from.into(), at: at.join(to), read_only };
    // The second is what the view hides.
    let binds = vec![bind(&other, "in", true), bind(&at.join("f"), "f", false)];
    let view = |binds| Some(View { shown: shown.clone(), at: at.clone(), binds });
    let script = "cat in/f f; echo x >in/f || echo no; echo new >f";
    match (Foreground { view: view(binds), cwd: at.clone(), ..shell(script) }).run() {
        // Who may not mount runs nothing, because it would be something else than was asked for.
        Err(error) => return assert_eq!((geteuid().is_root(), error.kind()), (false, io::ErrorKind::Unsupported)),
        Ok(ended) => assert_eq!(said(&ended), "otherrealno\n"),
    }
    let read = |dir: &std::path::Path| std::fs::read_to_string(dir.join("f")).unwrap();
    assert_eq!((read(&other), read(&at), read(&shown)), ("other".into(), "new\n".into(), "view".into()));
    let binds = vec![bind(&other, "nowhere", false)];
    let error = Foreground { view: view(binds), cwd: at.clone(), ..shell("true") }.run().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}
