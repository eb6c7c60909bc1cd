//! What a review shows, and that its patches do in another place what was done here.
#![allow(clippy::unwrap_used)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nixbox_engine::*;
use support::*;
use tempfile::TempDir;

struct Work {
    base: TempDir,
    scratch: Scratch,
}

impl Work {
    fn over(files: &[(&str, &str)]) -> Self {
        let base = tempfile::tempdir().unwrap();
        for (path, content) in files {
            put(&base.path().join(path), content.as_bytes());
        }
        Self { scratch: Scratch::over(base.path()), base }
    }

    fn by_path(&self) -> ByPath {
        ByPath::new(self.scratch.tree(), std::sync::Arc::new(()), ME)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.by_path().make_folder(name(folder), true).unwrap();
        }
        let mut writing = self.by_path().write(name(path), false).unwrap();
        writing.push(content.as_ref()).unwrap();
        writing.finish().unwrap();
    }

    fn mv(&self, from: &str, to: &str) {
        self.by_path().move_to(name(from), name(to)).unwrap();
    }

    fn rm(&self, path: &str) {
        self.by_path().remove(name(path), true).unwrap();
    }

    fn chmod(&self, path: &str, perm: u16) {
        let tree = self.scratch.tree();
        let ino = path.split('/').fold(ROOT, |at, step| tree.lookup(at, name(step)).unwrap().ino);
        tree.setattr(ino, AttrChange { perm: Some(perm), ..AttrChange::default() }).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.by_path().stat(OsStr::new(&format!("/{folder}")), Links::Keep).unwrap().attr.ino;
        self.scratch.tree().symlink(parent, name(last), name(target), ME).unwrap();
    }

    fn review(&self) -> Review {
        self.scratch.review()
    }

    fn changes(&self) -> Vec<Change> {
        self.review().changes().unwrap().next(usize::MAX, |_| true).unwrap()
    }

    /// `K path` or `K from path`
    fn told(&self) -> Vec<String> {
        let letter = |kind| match kind {
            ChangeKind::Added => "A".to_owned(),
            ChangeKind::Deleted => "D".to_owned(),
            ChangeKind::TypeChanged => "T".to_owned(),
            ChangeKind::Modified { content, mode } => {
                format!("M{}{}", if content { "c" } else { "" }, if mode { "m" } else { "" })
            }
            ChangeKind::Renamed { mode } => format!("R{}", if mode { "m" } else { "" }),
        };
        let shown = |change: Change| {
            let from = change.from.map_or(String::new(), |from| format!("{} ", from.display()));
            format!(
                "{} {from}{}{}",
                letter(change.kind),
                change.path.display(),
                if change.diverged { " !" } else { "" }
            )
        };
        self.changes().into_iter().map(shown).collect()
    }

    fn patch(&self) -> Vec<u8> {
        let review = self.review();
        self.changes().into_iter().flat_map(|change| review.difference(change, true).unwrap().patch).collect()
    }
}

fn put(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Everything that git knows of a folder: modes as git has them, content, targets.
fn seen_by_git(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let (mut seen, mut inside) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = inside.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let inner = path.strip_prefix(folder).unwrap().to_owned();
            if meta.is_dir() {
                inside.push(path);
            } else if meta.is_symlink() {
                seen.push((inner, 0, fs::read_link(&path).unwrap().as_os_str().as_bytes().to_owned()));
            } else {
                seen.push((inner, meta.permissions().mode() & 0o100, fs::read(&path).unwrap()));
            }
        }
    }
    seen.sort();
    seen
}

fn copy_out(tree: &dyn FileSystem, ino: Ino, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for Entry { name, attr } in tree.readdir(ino).unwrap() {
        let at = to.join(&name);
        let attr = tree.lookup(ino, &name).map(|_| attr).unwrap();
        match attr.kind {
            Kind::Directory => copy_out(tree, attr.ino, &at),
            Kind::Symlink => symlink(tree.readlink(attr.ino).unwrap(), &at).unwrap(),
            _ => {
                fs::write(&at, tree.read(attr.ino, 0, u32::MAX).unwrap()).unwrap();
                fs::set_permissions(&at, fs::Permissions::from_mode(u32::from(attr.perm))).unwrap();
            }
        }
    }
}

/// Applies the patch to a copy of the base with the program, and expects the view.
fn applies(work: &Work, program: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (copy, view) = (folder.path().join("copy"), folder.path().join("view"));
    let done = Command::new("cp").arg("-a").arg(work.base.path()).arg(&copy).status().unwrap();
    assert!(done.success());
    fs::write(folder.path().join("patch"), work.patch()).unwrap();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).current_dir(&copy).env("GIT_CEILING_DIRECTORIES", folder.path());
    let done = command.stdin(fs::File::open(folder.path().join("patch")).unwrap()).output().unwrap();
    let shown = String::from_utf8_lossy(&work.patch()).into_owned();
    assert!(done.status.success(), "{}\n{}\n{shown}", String::from_utf8_lossy(&done.stderr), program.join(" "));
    copy_out(&*work.scratch.tree(), ROOT, &view);
    assert_eq!(seen_by_git(&copy), seen_by_git(&view), "{shown}");
}

const GIT: &[&str] = &["git", "apply", "--whitespace=nowarn", "-"];
const PATCH: &[&str] = &["patch", "-p1", "--quiet"];

#[test]
fn a_change_undone_is_none_and_order_is_that_of_paths() {
    let work = Work::over(&[("a/b", "1"), ("a.d", "2"), ("z/deep/x", "3"), ("same", "4")]);
    work.write("same", "other");
    work.write("same", "4");
    work.write("a/new/file", "n");
    work.write("a.d", "22");
    work.rm("z");
    work.chmod("a/b", 0o600);
    assert_eq!(work.told(), ["Mm a/b", "A a/new", "A a/new/file", "Mc a.d", "D z", "D z/deep", "D z/deep/x"]);
    let sizes: Vec<_> = work.changes().iter().map(|c| (c.before.map(|s| s.size), c.after.map(|s| s.size))).collect();
    assert_eq!(sizes[3], (Some(1), Some(2)));
}

#[test]
fn what_was_moved_is_said_so() {
    let work = Work::over(&[("old.txt", "content"), ("twin/a", "alike"), ("twin/b", "alike"), ("gone", "content too")]);
    work.mv("old.txt", "new.txt");
    work.by_path().make_folder(name("t"), false).unwrap();
    work.mv("twin/a", "t/x");
    work.mv("twin/b", "t/a");
    work.rm("gone");
    // Of two alike, the one that kept its name is the one; its folder is no moved one.
    assert_eq!(work.told(), ["D gone", "R old.txt new.txt", "A t", "R twin/a t/a", "R twin/b t/x"]);
    work.chmod("new.txt", 0o755);
    assert!(work.told().contains(&"Rm old.txt new.txt".to_owned()));
    work.write("new.txt", "content, changed");
    assert!(work.told().contains(&"A new.txt".to_owned()) && work.told().contains(&"D old.txt".to_owned()));
}

#[test]
fn a_folder_that_moved_as_a_whole_is_one_move_and_its_files_too() {
    let work = Work::over(&[("src/a/__init__.py", ""), ("src/a/m.py", "m"), ("src/b.py", "b"), ("keep", "k")]);
    work.mv("src", "lib");
    assert_eq!(
        work.told(),
        [
            "R src lib",
            "R src/a lib/a",
            "R src/a/__init__.py lib/a/__init__.py",
            "R src/a/m.py lib/a/m.py",
            "R src/b.py lib/b.py"
        ]
    );
    work.write("lib/more", "x");
    assert_eq!(work.told()[0], "A lib");
    assert!(work.told().contains(&"D src".to_owned()) && work.told().contains(&"R src/a lib/a".to_owned()));
}

#[test]
fn what_somebody_else_changed_too_has_diverged() {
    let work = Work::over(&[("f", "one"), ("g", "one")]);
    for path in ["f", "g"] {
        let mut append = work.by_path().write(name(path), true).unwrap();
        append.push(b"more").unwrap();
        append.finish().unwrap();
    }
    fs::write(work.base.path().join("f"), "theirs").unwrap();
    fs::remove_file(work.base.path().join("g")).unwrap();
    assert_eq!(work.told(), ["Mc f !", "A g !"]);
}

/// However a file of the base is written anew: it is known what it was then.
#[test]
fn what_was_replaced_and_somebody_else_changed_too_has_diverged() {
    let names = ["by-verb", "editor", "vim", "anew", "truncated", "twice", "moved-on", "moved-here", "gone", "link"];
    let files: Vec<_> = names.iter().map(|name| (*name, "below\n")).collect();
    let mut work = Work::over(&files);
    for name in ["swapped", "swapped-too"] {
        put(&work.base.path().join(name), name.as_bytes());
    }
    work.scratch.tree().rename((ROOT, name("swapped")), (ROOT, name("swapped-too")), Rename::Exchange).unwrap();
    work.write("by-verb", "mine\n");
    // Beside it, and then in its place.
    work.write(".editor.tmp", "mine\n");
    work.mv(".editor.tmp", "editor");
    work.mv("vim", "vim~");
    work.write("vim", "mine\n");
    work.rm("vim~");
    work.rm("anew");
    work.write("anew", "mine\n");
    let tree = work.scratch.tree();
    let truncated = tree.lookup(ROOT, name("truncated")).unwrap().ino;
    tree.setattr(truncated, AttrChange { size: Some(0), ..AttrChange::default() }).unwrap();
    tree.write(truncated, 0, b"mine\n").unwrap();
    tree.forget(truncated, 1);
    drop(tree);
    work.write("moved-on", "mine\n");
    work.mv("moved-on", "elsewhere");
    // What it was where it came from says nothing of what it is here.
    work.mv("moved-here", "twice");
    work.write("gone", "mine\n");
    work.rm("link");
    work.link("link", "elsewhere");
    let expected = [
        "Mc anew",
        "Mc by-verb",
        "Mc editor",
        "A elsewhere",
        "Mc gone",
        "T link",
        "D moved-here",
        "D moved-on",
        "Mc swapped",
        "Mc swapped-too",
        "Mc truncated",
        "Mc vim",
    ];
    // What is made anew belongs to who makes it, which is another matter.
    let changed = |work: &Work| work.told().iter().map(|told| told.replacen("Mcm", "Mc", 1)).collect::<Vec<_>>();
    assert_eq!(changed(&work), expected);
    work.scratch.reopen();
    assert_eq!(changed(&work), expected);

    for name in names.into_iter().chain(["swapped", "swapped-too"]) {
        fs::write(work.base.path().join(name), "theirs, and longer\n").unwrap();
    }
    fs::remove_file(work.base.path().join("gone")).unwrap();
    let diverged: Vec<_> = changed(&work).into_iter().filter(|told| told.ends_with('!')).collect();
    let all = [
        "Mc anew !",
        "Mc by-verb !",
        "Mc editor !",
        "A gone !",
        "T link !",
        "Mc swapped !",
        "Mc swapped-too !",
        "Mc truncated !",
        "Mc twice !",
        "Mc vim !",
    ];
    assert_eq!(diverged, all);
    // Written once more, it still is the one from before.
    work.write("editor", "mine, once more\n");
    work.write(".editor.tmp", "mine, once more\n");
    work.mv(".editor.tmp", "by-verb");
    assert_eq!(changed(&work).into_iter().filter(|told| told.ends_with('!')).collect::<Vec<_>>(), all);
    work.scratch.close();
    let sql = work.scratch.sql();
    let known: i64 = sql.query_row("SELECT count(*) FROM nixbox_replaced", [], |row| row.get(0)).unwrap();
    let without: i64 = sql
        .query_row("SELECT count(*) FROM nixbox_replaced WHERE ino NOT IN (SELECT ino FROM fs_inode)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(known >= 7 && without == 0, "{known} {without}");
}

#[test]
fn without_a_base_everything_was_added() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let folder = folder(&*files, ROOT, "d");
    file(&*files, folder, "f");
    let changes = scratch.review().changes().unwrap().next(10, |_| true).unwrap();
    let paths: Vec<_> = changes.iter().map(|change| change.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["d", "d/f"]);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Added) && scratch.review().base().is_none());
}

fn much_of_everything() -> Work {
    let long: String = (0..300).map(|n| format!("line {n}\n")).collect();
    let work = Work::over(&[
        ("long.txt", &long),
        ("no newline", "a\nb"),
        ("empty", ""),
        ("gone/deep/file", "x\ny\n"),
        ("gone empty", ""),
        ("say \"it\"\t\\", "quoted\n"),
        ("run.sh", "#!/bin/sh\n"),
        ("moved me", "moved content\nof two lines\n"),
        ("becomes/a", "folder to file\n"),
        ("file to folder", "f\n"),
        ("target", "t\n"),
    ]);
    symlink("target", work.base.path().join("link")).unwrap();
    symlink("target", work.base.path().join("was link")).unwrap();
    work.write("long.txt", long.replace("line 7\n", "").replace("line 200\n", "line 200!\nand more\n"));
    work.write("no newline", "a\nc");
    work.write("empty", "no more\n");
    work.write("new empty", "");
    work.write("new dir/with blank", "first\r\nsecond\rthird\n");
    work.write("d\u{e9}j\u{e0} vu", "u\n");
    work.write("say \"it\"\t\\", "quoted, changed\n");
    work.rm("gone");
    work.rm("gone empty");
    work.chmod("run.sh", 0o755);
    work.mv("moved me", "new dir/moved\tthere");
    work.rm("becomes");
    work.write("becomes", "a file now\n");
    work.rm("file to folder");
    work.write("file to folder/inside", "i\n");
    work.rm("link");
    work.link("link", "elsewhere");
    work.rm("was link");
    work.write("was link", "a file\n");
    work.rm("target");
    work.link("target", "link");
    work
}

#[test]
fn git_applies_the_patch() {
    applies(&much_of_everything(), GIT);
}

#[test]
fn patch_applies_what_it_has_words_for() {
    let work = Work::over(&[("a", "1\n2\n3\n"), ("b c", "x"), ("gone", "g\n")]);
    work.write("a", "1\n2\nthree\n");
    work.write("b c", "y\n");
    work.rm("gone");
    work.write("new/file", "n\n");
    applies(&work, PATCH);
}

#[test]
fn from_nothing_git_makes_it_all() {
    let work = Work::over(&[]);
    work.write("a/b", "b\n");
    work.write("run", "#!/bin/sh\n");
    work.chmod("run", 0o755);
    work.link("l", "a/b");
    applies(&work, GIT);
}

#[test]
fn what_cannot_be_shown_is_named_and_git_refuses_it_aloud() {
    let work = Work::over(&[("binary", "\0old"), ("big", "x")]);
    work.write("binary", "\0new");
    work.write("big", "x".repeat(5 << 20));
    let patch = String::from_utf8(work.patch()).unwrap();
    assert!(patch.contains("\nBinary files a/binary and b/binary differ\n"), "{patch}");
    assert!(
        patch.contains("\nFiles a/big and b/big are too large to show (1 and 5242880 bytes) and differ\n"),
        "{patch}"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("patch"), &patch).unwrap();
    for only in ["binary", "big"] {
        let mut command = Command::new("git");
        fs::write(folder.path().join(only), "x").unwrap();
        command.args(["apply", "--include", only, "patch"]).current_dir(folder.path());
        let done = command.env("GIT_CEILING_DIRECTORIES", folder.path().parent().unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains("binary patch"), "{only}: {said}");
    }
}

#[test]
fn what_git_has_no_word_for_is_remarked_and_passed_over() {
    let work = Work::over(&[("secret", "s\n"), ("f", "1\n")]);
    work.chmod("secret", 0o600);
    work.write("f", "2\n");
    work.scratch.tree().create(ROOT, name("pipe"), node(Kind::Fifo, 0o644)).unwrap();
    let patch = String::from_utf8(work.patch()).unwrap();
    assert!(patch.contains("# pipe: now a pipe\n") && patch.contains("# secret: mode 0600, was 0644\n"), "{patch}");
    work.rm("pipe");
    applies(&work, GIT);
}

#[test]
fn texts_without_a_line_in_common_are_told_in_time() {
    let old: String = (0..150_000u64).map(|n| format!("{}\n", n.wrapping_mul(0x9E37_79B9) % 1000)).collect();
    let new: String = (0..150_000u64).map(|n| format!("{}\n", n.wrapping_mul(0x85EB_CA6B) % 1000)).collect();
    let work = Work::over(&[("f", &old)]);
    work.write("f", &new);
    let watch = slow_machine::HeldUp::watch();
    let patch = work.patch();
    watch.assert_within(std::time::Duration::from_secs(30), "the patch");
    assert!(!patch.is_empty());
    applies(&work, GIT);
}

#[test]
fn verbs_reach_into_folders_of_the_base() {
    let work = Work::over(&[("a/b/c", "1"), ("a/b/d", "2"), ("a/e", "3")]);
    symlink("b/c", work.base.path().join("a/l")).unwrap();
    let list = |path: &str| -> Vec<String> {
        let found = work.by_path().list(name(path), true).unwrap().next(100, |_| true).unwrap();
        found.into_iter().map(|found| found.path.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list("/"), ["a", "a/b", "a/b/c", "a/b/d", "a/e", "a/l"]);
    work.by_path().copy(name("a"), name("z"), true).unwrap();
    assert_eq!(list("z"), ["b", "b/c", "b/d", "e", "l"]);
    work.rm("a");
    assert_eq!(list("/")[0], "z");
    assert_eq!(work.scratch.tree().getattr(ROOT).unwrap().ino, ROOT);
}
