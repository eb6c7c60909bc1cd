//! Changes that belong together: all of them or none, and nobody sees a part.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nixbox_engine::*;
use support::*;

fn by_path(scratch: &Scratch) -> ByPath {
    ByPath::new(scratch.tree(), Arc::new(()), ME)
}

fn write(files: &ByPath, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let mut writing = files.write(name(path), false)?;
    writing.push(content.as_ref())?;
    writing.finish()
}

fn read(files: &ByPath, path: &str) -> Vec<u8> {
    files.read(name(path)).unwrap().next(u32::MAX).unwrap()
}

/// Everything that is seen, with its times and numbers.
fn seen(files: &ByPath) -> Vec<String> {
    let mut seen = Vec::new();
    files
        .harvest::<Error>("/".as_ref(), |picked| {
            let content = match picked.attr.kind {
                Kind::File => blake3::hash(&picked.read(0, u32::MAX)?).to_hex().to_string(),
                _ => format!("{:?}", picked.target),
            };
            seen.push(format!(
                "{} {:?} {content}",
                picked.path.display(),
                Attr { atime: Time::default(), ..picked.attr }
            ));
            Ok(())
        })
        .unwrap();
    seen
}

/// A bit of everything that can be done to a tree, with a large file among it.
fn all_sorts(files: &ByPath) -> Result<()> {
    write(files, "/new", "new")?;
    write(files, "/kept", "written anew")?;
    files.make_folder(name("/a/b/c"), true)?;
    files.move_to(name("/folder"), name("/a/b"))?;
    files.remove(name("/gone"), true)?;
    files.copy(name("/large"), name("/a/copy"), false)?;
    let mut more = files.write(name("/large"), true)?;
    more.push(b"more")?;
    more.finish()?;
    files.copy(name("/a"), name("/z"), true)
}

fn set_up(files: &ByPath) {
    for path in ["/folder/deep", "/gone/away"] {
        files.make_folder(name(path), true).unwrap();
    }
    write(files, "/kept", "kept").unwrap();
    write(files, "/folder/deep/file", "in the folder").unwrap();
    write(files, "/gone/away/file", "to be gone").unwrap();
    // More than is copied up in one go.
    write(files, "/large", pattern(6 << 20, 1)).unwrap();
}

#[test]
fn all_happens_or_nothing_in_a_plain_database_and_over_a_base() {
    let base = tempfile::tempdir().unwrap();
    let below = Scratch::with_options(Options {
        mode: Mode::Direct,
        base: Some(BaseOptions { path: base.path().into(), ..BaseOptions::default() }),
        ..options()
    });
    set_up(&by_path(&below));
    drop(below);
    for mut scratch in [Scratch::new(), Scratch::over(base.path())] {
        let over = scratch.options.base.is_some();
        let files = by_path(&scratch);
        if !over {
            set_up(&files);
        }
        let before = seen(&files);
        // One that somebody has open, as a mount has.
        let held = scratch.tree().lookup(ROOT, name("kept")).unwrap().ino;
        scratch.tree().open(held).unwrap();
        for _ in 0..3 {
            let failed: Result<()> = files.together(true, |files| {
                all_sorts(files)?;
                assert_eq!(read(files, "/kept"), b"written anew");
                Err(Error::Errno(libc::EXDEV))
            });
            refused(failed, libc::EXDEV);
            assert_eq!(seen(&files), before);
            // What only shows what would happen goes the same way.
            files.together::<Error>(false, all_sorts).unwrap();
            assert_eq!(seen(&files), before);
        }
        assert_eq!(scratch.tree().read(held, 0, 100).unwrap(), b"kept");
        scratch.tree().write(held, 4, b" open").unwrap();
        assert_eq!(read(&files, "/kept"), b"kept open");
        scratch.tree().release(held);
        scratch.tree().forget(held, 1);
        if over {
            assert_eq!(scratch.overlay().changes().unwrap().len(), 1);
        }

        files.together::<Error>(true, all_sorts).unwrap();
        let after = seen(&files);
        assert_eq!(read(&files, "/z/b/folder/deep/file"), b"in the folder");
        assert!(files.stat(name("/gone"), Links::Keep).is_err());
        drop(files);
        scratch.reopen();
        let names = |seen: &[String]| -> Vec<String> {
            seen.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&seen(&by_path(&scratch))), names(&after));
        scratch.close();
        let checked = check(&scratch.path(), &backing()).unwrap();
        assert!(checked.found.is_empty(), "{:?}", checked.found);
    }
}

#[test]
fn others_wait_and_see_all_of_it() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("below"), pattern(5 << 20, 2)).unwrap();
    for scratch in [Scratch::new(), Scratch::over(base.path())] {
        let files = by_path(&scratch);
        write(&files, "/one", "1").unwrap();
        let tree = scratch.tree();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let (files, done, tree) = (files.clone(), &done, &*tree);
                scope.spawn(move || {
                    let mine = format!("/mine{worker}");
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let there = names(tree, ROOT);
                        let both = ["first", "two"].map(|one| there.iter().any(|name| name == one));
                        assert_eq!(both[0], both[1], "{there:?}");
                        write(&files, &mine, "x").unwrap();
                        if worker == 0 {
                            let _ = files.copy(name("/below"), name("/copied"), false);
                        }
                    }
                });
            }
            for round in 0..20 {
                let ended: Result<()> = files.together(true, |files| {
                    write(files, "/first", "1")?;
                    std::thread::sleep(Duration::from_millis(5));
                    write(files, "/two", "2")?;
                    if round % 2 == 0 { Err(Error::Errno(libc::EXDEV)) } else { Ok(()) }
                });
                assert_eq!(ended.is_ok(), round % 2 == 1);
                if round % 2 == 1 {
                    files
                        .together::<Error>(true, |files| {
                            files.remove(name("/two"), false)?;
                            files.remove(name("/first"), false)
                        })
                        .unwrap();
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(read(&files, "/mine2"), b"x");
    }
}

#[test]
fn limits_end_the_whole_and_give_back_what_it_took() {
    let limits = Limits { size: Some(1 << 20), files: Some(20) };
    let scratch = Scratch::with_options(Options { limits, ..options() });
    let files = by_path(&scratch);
    for _ in 0..3 {
        let ended: Result<()> = files.together(true, |files| {
            write(files, "/a", pattern(900 << 10, 3))?;
            write(files, "/b", pattern(900 << 10, 4))
        });
        refused(ended, libc::ENOSPC);
        let ended: Result<()> =
            files.together(true, |files| (0..40).try_for_each(|n| write(files, &format!("/{n}"), "")));
        refused(ended, libc::EDQUOT);
    }
    write(&files, "/a", pattern(900 << 10, 5)).unwrap();
    assert_eq!(names(&*scratch.tree(), ROOT), ["a"]);
}

/// Who was told: nothing of what is undone, all of what is done, and not before it is.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Witness for Told {
    fn entry_changed(&self, directory: Ino, name: &std::ffi::OsStr) {
        self.0.lock().unwrap().push(format!("{directory}/{}", name.display()));
    }

    fn inode_changed(&self, _: Ino) {}
}

#[test]
fn whoever_shows_the_tree_is_told_once_it_is_done() {
    let scratch = Scratch::new();
    let told = Arc::new(Told::default());
    let files = ByPath::new(scratch.tree(), told.clone(), ME);
    let failed: Result<()> = files.together(true, |files| {
        files.make_folder(name("/a"), false)?;
        Err(Error::Errno(libc::EXDEV))
    });
    refused(failed, libc::EXDEV);
    files.together::<Error>(false, |files| files.make_folder(name("/a"), false)).unwrap();
    assert!(told.0.lock().unwrap().is_empty());
    files
        .together::<Error>(true, |files| {
            files.make_folder(name("/a"), false)?;
            assert!(told.0.lock().unwrap().is_empty());
            Ok(())
        })
        .unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["1/a"]);
}

#[test]
fn a_real_folder_cannot_do_that() {
    let base = tempfile::tempdir().unwrap();
    let base = Some(BaseOptions { path: base.path().into(), ..BaseOptions::default() });
    let scratch = Scratch::with_options(Options { mode: Mode::Direct, base, ..options() });
    let ended: Result<()> = by_path(&scratch).together(true, |_| unreachable!());
    refused(ended, libc::EOPNOTSUPP);
    drop(scratch);
}
