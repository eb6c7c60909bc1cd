//! What is packed comes out again, read by this crate and by the real tar; what a hostile archive holds does not.
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nixbox_archive::*;

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o640, uid: 12, gid: 34, mtime: (1_700_000_000, 123_456_789) }
}

fn packed(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut pack = Pack::new(Vec::new());
    for (entry, content) in entries {
        pack.add(entry, content.as_slice()).unwrap();
    }
    pack.finish().unwrap()
}

fn unpacked(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut entries = Vec::new();
    unpack(archive, |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        entries.push((entry, bytes));
        Ok::<_, Error>(())
    })?;
    Ok(entries)
}

#[test]
fn what_goes_in_comes_out() {
    let long = "a-rather-long-name/".repeat(20) + "end";
    let mut entries = vec![
        (entry("", Kind::Folder), vec![]),
        (entry("dir", Kind::Folder), vec![]),
        (entry("dir/f", Kind::File { size: 5 }), b"hello".to_vec()),
        (entry("dir/empty", Kind::File { size: 0 }), vec![]),
        (entry(&long, Kind::File { size: 513 }), vec![7; 513]),
        (entry("déjà\nvu", Kind::Symlink { target: long.clone().into() }), vec![]),
        (entry("again", Kind::HardLink { to: long.into() }), vec![]),
        (entry("pipe", Kind::Fifo), vec![]),
        (entry("tty", Kind::CharDevice { major: 5, minor: 1 }), vec![]),
    ];
    entries[2].0.uid = 3_000_000_000;
    entries[2].0.mode = 0o4755;
    entries[3].0.mtime = (-2, 500_000_000);
    entries[4].0.mtime = (1 << 40, 0);
    entries[5].0.mtime = (0, 1);
    let archive = packed(&entries);
    assert_eq!(unpacked(&archive).unwrap(), entries);
}

#[test]
fn an_archive_that_ends_too_soon_is_no_archive() {
    let archive = packed(&[
        (entry("a", Kind::File { size: 600 }), vec![0; 600]),
        (entry("b", Kind::File { size: 9 }), vec![1; 9]),
    ]);
    for length in [0, 100, 512, 700, 1536, 1600, 2048, 2560] {
        let error = unpacked(&archive[..length]).unwrap_err();
        assert!(matches!(error, Error::Broken(_)), "{length}: {error:?}");
    }
    assert_eq!(unpacked(&archive).unwrap().len(), 2);
    assert!(matches!(unpacked(&[7; 4096]), Err(Error::Broken(_))));
    let mut torn = archive;
    torn[5] ^= 1;
    assert!(matches!(unpacked(&torn), Err(Error::Broken(_))), "the header's sum");
}

#[test]
fn what_leads_out_is_refused() {
    for path in ["/etc/passwd", "../up", "a/../../up", "a/.."] {
        let archive = packed(&[(entry(path, Kind::File { size: 1 }), b"x".to_vec())]);
        assert!(matches!(unpacked(&archive), Err(Error::Refused { .. })), "{path}");
        let archive = packed(&[(entry("link", Kind::HardLink { to: path.into() }), vec![])]);
        assert!(matches!(unpacked(&archive), Err(Error::Refused { .. })), "a link to {path}");
    }
    let plain = packed(&[(entry("./a/./b", Kind::File { size: 0 }), vec![])]);
    assert_eq!(unpacked(&plain).unwrap()[0].0.path, Path::new("a/b"));
}

fn laid_out(archive: &[u8]) -> (tempfile::TempDir, Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let mut laying = LayOut::to(&folder.path().join("out")).unwrap();
    let done = unpack(archive, |entry, content| laying.add(entry, content)).and_then(|()| laying.finish());
    (folder, done)
}

#[test]
fn nothing_is_written_through_a_link() {
    let archive = packed(&[
        (entry("way", Kind::Symlink { target: "..".into() }), vec![]),
        (entry("way/out", Kind::File { size: 1 }), b"x".to_vec()),
    ]);
    let (folder, done) = laid_out(&archive);
    assert!(matches!(done, Err(Error::File { .. })), "{done:?}");
    assert!(!folder.path().join("out").join("../out/out").exists() && !folder.path().join("out.txt").exists());
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let twice = packed(&[
        (entry("f", Kind::Symlink { target: "../f".into() }), vec![]),
        (entry("f", Kind::File { size: 1 }), b"x".to_vec()),
    ]);
    let (folder, done) = laid_out(&twice);
    assert!(done.is_err() && !folder.path().join("f").exists());
}

fn tar(folder: &Path, args: &[&str]) -> Vec<u8> {
    let done = Command::new("tar").arg("-C").arg(folder).args(args).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// A folder with something of every kind that anybody may make.
fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("deep/deeper")).unwrap();
    std::fs::write(at("deep/deeper/file"), vec![3; 100_000]).unwrap();
    std::fs::write(at("run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(at("run"), PermissionsExt::from_mode(0o751)).unwrap();
    std::fs::hard_link(at("run"), at("deep/walk")).unwrap();
    std::os::unix::fs::symlink("../run", at("deep/link")).unwrap();
    std::fs::write(at(&"n".repeat(200)), "long").unwrap();
    std::fs::write(at("umlaut \u{fc}"), "").unwrap();
    std::fs::write(folder.path().join(OsString::from_vec(b"not-utf8-\xff".to_vec())), "raw").unwrap();
    std::fs::File::create(at("sparse")).unwrap().set_len(3 << 20).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o620)).unwrap();
    std::fs::File::open(at("run"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_600_000_000, 987_654_321))
        .unwrap();
    std::fs::set_permissions(at("deep"), PermissionsExt::from_mode(0o500)).unwrap();
    folder
}

/// What a tree is, as far as a program can see it.
fn shape(folder: &Path) -> Vec<(PathBuf, u32, u64, i64, i64, Vec<u8>)> {
    let mut shape = Vec::new();
    let mut next = vec![PathBuf::new()];
    while let Some(path) = next.pop() {
        let real = folder.join(&path);
        let meta = real.symlink_metadata().unwrap();
        let kind = meta.file_type();
        let content = if kind.is_symlink() {
            std::fs::read_link(&real).unwrap().into_os_string().into_vec()
        } else if kind.is_file() {
            std::fs::read(&real).unwrap()
        } else {
            Vec::new()
        };
        if kind.is_dir() {
            next.extend(real.read_dir().unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        }
        let links = if kind.is_dir() { 0 } else { meta.nlink() };
        shape.push((path, meta.mode(), links, meta.mtime(), meta.mtime_nsec(), content));
    }
    shape.sort();
    shape
}

#[test]
fn the_real_tar_reads_what_is_packed_and_packs_what_is_read() {
    let folder = sample();
    let mut pack = Pack::new(Vec::new());
    gather(folder.path(), &mut pack, |_| panic!("no sockets here")).unwrap();
    let archive = pack.finish().unwrap();
    let out = tempfile::tempdir().unwrap();
    std::fs::write(out.path().join("a.tar"), &archive).unwrap();
    std::fs::create_dir(out.path().join("real")).unwrap();
    tar(&out.path().join("real"), &["-xpf", out.path().join("a.tar").to_str().unwrap()]);
    assert_eq!(shape(&out.path().join("real")), shape(folder.path()));
    let (ours, done) = laid_out(&archive);
    done.unwrap();
    assert_eq!(shape(&ours.path().join("out")), shape(folder.path()));
    assert!(ours.path().join("out/sparse").metadata().unwrap().blocks() < 100, "holes stay holes");

    for form in ["--format=pax", "--format=gnu", "--format=gnu --sparse"] {
        let args: Vec<_> = ["-c"].into_iter().chain(form.split(' ')).chain(["."]).collect();
        let (ours, done) = laid_out(&tar(folder.path(), &args));
        done.unwrap();
        let whole_seconds = |shape: Vec<(PathBuf, u32, u64, i64, i64, Vec<u8>)>| {
            shape
                .into_iter()
                .map(|(a, b, c, d, nsec, e)| (a, b, c, d, if form.contains("gnu") { 0 } else { nsec }, e))
                .collect::<Vec<_>>()
        };
        assert_eq!(whole_seconds(shape(&ours.path().join("out"))), whole_seconds(shape(folder.path())), "{form}");
    }
    let sparse = tar(folder.path(), &["-c", "--format=pax", "--sparse", "."]);
    assert!(matches!(unpacked(&sparse), Err(Error::Refused { why, .. }) if why.contains("--format=gnu")));
    std::fs::set_permissions(folder.path().join("deep"), PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn names_with_line_breaks_survive_and_are_said_where_they_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let name = "line\nbreak \u{fc} ".repeat(8);
    std::fs::write(folder.path().join(&name), "x").unwrap();
    std::os::unix::fs::symlink(&name, folder.path().join("link")).unwrap();
    let mut pack = Pack::new(Vec::new());
    gather(folder.path(), &mut pack, |_| {}).unwrap();
    let archive = pack.finish().unwrap();
    let (ours, done) = laid_out(&archive);
    done.unwrap();
    assert_eq!(shape(&ours.path().join("out")), shape(folder.path()));
    let real = tempfile::tempdir().unwrap();
    std::fs::write(real.path().join("a.tar"), &archive).unwrap();
    std::fs::create_dir(real.path().join("out")).unwrap();
    tar(&real.path().join("out"), &["-xpf", real.path().join("a.tar").to_str().unwrap()]);
    assert_eq!(shape(&real.path().join("out")), shape(folder.path()));
    laid_out(&tar(folder.path(), &["-c", "--format=gnu", "."])).1.unwrap();
    let error = unpacked(&tar(folder.path(), &["-c", "--format=pax", "."])).unwrap_err();
    assert!(matches!(&error, Error::Broken(why) if why.contains("--format=gnu")), "{error:?}");
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_is_an_error_and_one_that_grows_is_cut() {
    let mut pack = Pack::new(Vec::new());
    let error = pack.add(&entry("f", Kind::File { size: 9 }), &b"short"[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let grown = packed(&[(entry("f", Kind::File { size: 3 }), b"longer".to_vec())]);
    assert_eq!(unpacked(&grown).unwrap()[0].1, b"lon");
}
