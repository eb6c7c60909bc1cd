//! The tree over NFS, as programs with a client of their own find it.
#![allow(clippy::print_stderr, clippy::unwrap_used)]
#[path = "common/nfs.rs"]
mod client;
mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Server, who};
use common::slow_machine::HeldUp;
use nfs3_client::nfs3_types::nfs3::*;
use nixbox_engine::{BaseOptions, ByPath, Caller, Database, Options, ROOT};

const BIG: usize = 100 << 20;

fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at / 7 + at * 31 + seed) % 251) as u8).collect()
}

#[test]
fn a_file_is_made_written_read_moved_and_removed() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(1000, 1000));
    let root = client.root();
    let folder = client.mkdir(&root, "folder", 0o750).unwrap();
    let file = client.create(&folder, "file", 0o640).unwrap();
    client.write(&file, 0, b"hello", stable_how::UNSTABLE).unwrap();
    client.write(&file, 10, b"world", stable_how::FILE_SYNC).unwrap();
    client.commit(&file).unwrap();
    assert_eq!(client.read(&file, 0, 100).unwrap(), (b"hello\0\0\0\0\0world".to_vec(), true));
    assert_eq!(client.read(&file, 2, 3).unwrap(), (b"llo".to_vec(), false));
    assert_eq!(client.read(&file, 99, 3).unwrap(), (Vec::new(), true));
    let attr = client.attr(&file).unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid, attr.size, attr.nlink), (0o640, 1000, 1000, 15, 1));
    assert_eq!(client.attr(&folder).unwrap().mode, 0o750);

    assert_eq!(client.rename(&folder, "file", &root, "moved"), Ok(()));
    assert_eq!(client.lookup(&folder, "file").unwrap_err(), nfsstat3::NFS3ERR_NOENT);
    assert_eq!(client.lookup(&root, "moved").unwrap(), file, "one file, one handle");
    assert_eq!(client.link(&file, &folder, "second"), Ok(()));
    assert_eq!(client.attr(&file).unwrap().nlink, 2);
    assert_eq!(client.remove(&root, "moved"), Ok(()));
    assert_eq!(client.attr(&file).unwrap().nlink, 1);
    assert_eq!(client.rmdir(&root, "folder"), Err(nfsstat3::NFS3ERR_NOTEMPTY));
    assert_eq!(client.remove(&root, "folder"), Err(nfsstat3::NFS3ERR_ISDIR));
    assert_eq!(client.rmdir(&folder, "second"), Err(nfsstat3::NFS3ERR_NOTDIR));
    assert_eq!(client.remove(&folder, "second"), Ok(()));
    assert_eq!(client.attr(&file).unwrap_err(), nfsstat3::NFS3ERR_STALE);
    assert_eq!(client.rmdir(&root, "folder"), Ok(()));
    assert_eq!(client.names(&root), BTreeSet::new());
}

#[test]
fn links_fifos_and_what_is_not_there() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(1000, 1000));
    let root = client.root();
    let link = client.symlink(&root, "link", "some/where").unwrap();
    assert_eq!(client.readlink(&link).unwrap(), b"some/where");
    assert_eq!(client.attr(&link).unwrap().type_, ftype3::NF3LNK);
    assert_eq!(client.readlink(&root).unwrap_err(), nfsstat3::NFS3ERR_INVAL);
    let fifo = client.mkfifo(&root, "fifo").unwrap();
    assert_eq!(client.attr(&fifo).unwrap().type_, ftype3::NF3FIFO);
    assert_eq!(client.read(&fifo, 0, 1).unwrap_err(), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(client.read(&root, 0, 1).unwrap_err(), nfsstat3::NFS3ERR_ISDIR);
    for name in ["", "a/b"] {
        assert!(client.create(&root, name, 0o644).is_err(), "{name:?}");
    }
    assert_eq!(client.mkdir(&root, "..", 0o755).unwrap_err(), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(client.create(&root, &"x".repeat(256), 0o644).unwrap_err(), nfsstat3::NFS3ERR_NAMETOOLONG);
    assert_eq!(client.lookup(&root, "..").unwrap(), root);
    assert_eq!(client.lookup(&root, ".").unwrap(), root);
    let folder = client.mkdir(&root, "a", 0o755).unwrap();
    assert_eq!(client.lookup(&folder, "..").unwrap(), root);
}

#[test]
fn times_sizes_and_modes_are_set_as_asked() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(1000, 1000));
    let root = client.root();
    let file = client.create(&root, "file", 0o4755).unwrap();
    client.write(&file, 0, b"0123456789", stable_how::UNSTABLE).unwrap();
    assert_eq!(client.attr(&file).unwrap().mode, 0o755, "who writes does not lend his rights");
    let time = nfstime3 { seconds: 1_000_000_000, nseconds: 123_456_789 };
    let change = sattr3 {
        mode: set_mode3::Some(0o600),
        size: set_size3::Some(4),
        atime: set_atime::SET_TO_CLIENT_TIME(time),
        mtime: set_mtime::SET_TO_CLIENT_TIME(time),
        ..sattr3::default()
    };
    client.setattr(&file, change, None).unwrap();
    let attr = client.attr(&file).unwrap();
    assert_eq!((attr.mode, attr.size, attr.mtime, attr.atime), (0o600, 4, time, time));
    assert_eq!(client.read(&file, 0, 9).unwrap().0, b"0123");
    let grow = sattr3 { size: set_size3::Some(6), ..sattr3::default() };
    client.setattr(&file, grow, Some(attr.ctime)).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().0, b"0123\0\0");
    let again = client.setattr(&file, sattr3 { mode: set_mode3::Some(0), ..sattr3::default() }, Some(attr.ctime));
    assert_eq!(again, Err(nfsstat3::NFS3ERR_NOT_SYNC));
}

#[test]
fn an_exclusive_file_is_its_makers_also_when_asked_twice() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(1000, 1000));
    let root = client.root();
    let mine = client.create_exclusive(&root, "lock", [1; 8]).unwrap();
    assert_eq!(client.create_exclusive(&root, "lock", [1; 8]).unwrap(), mine);
    assert_eq!(client.create_exclusive(&root, "lock", [2; 8]).unwrap_err(), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(client.create_guarded(&root, "lock").unwrap_err(), nfsstat3::NFS3ERR_EXIST);
    client.write(&mine, 0, b"x", stable_how::UNSTABLE).unwrap();
    assert_eq!(client.create(&root, "lock", 0o644).unwrap(), mine, "what is there is taken");
    assert_eq!(client.attr(&mine).unwrap().size, 0, "and cut to the size that was asked for");
}

#[test]
fn mode_bits_say_who_may_what() {
    let server = Server::new(|_| {});
    let mut root_user = server.client(who(0, 0));
    let root = root_user.root();
    let mut owner = server.client(who(1000, 1000));
    let mut other = server.client(who(1001, 1001));
    assert_eq!(other.create(&root, "x", 0o644).unwrap_err(), nfsstat3::NFS3ERR_ACCES, "the root is 0755 of another");
    let shared = root_user.mkdir(&root, "shared", 0o1777).unwrap();
    let private = owner.mkdir(&shared, "private", 0o700).unwrap();
    let file = owner.create(&shared, "file", 0o640).unwrap();
    assert_eq!(other.lookup(&private, "x").unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(other.page(&private, 0, true).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(other.read(&file, 0, 1).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(other.write(&file, 0, b"x", stable_how::UNSTABLE).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(other.remove(&shared, "file"), Err(nfsstat3::NFS3ERR_ACCES), "the folder is sticky");
    assert_eq!(other.rename(&shared, "file", &shared, "mine"), Err(nfsstat3::NFS3ERR_ACCES));
    let mode = |mode| sattr3 { mode: set_mode3::Some(mode), ..sattr3::default() };
    assert_eq!(other.setattr(&file, mode(0o777), None), Err(nfsstat3::NFS3ERR_PERM));
    let give = sattr3 { uid: set_uid3::Some(1001), ..sattr3::default() };
    assert_eq!(owner.setattr(&file, give.clone(), None), Err(nfsstat3::NFS3ERR_PERM), "nobody gives files away");
    let all = ACCESS3_READ | ACCESS3_MODIFY | ACCESS3_EXTEND | ACCESS3_EXECUTE;
    assert_eq!(owner.access(&file, all), ACCESS3_READ | ACCESS3_MODIFY | ACCESS3_EXTEND);
    assert_eq!(other.access(&file, all), 0);
    assert_eq!(server.client(who(7, 1000)).access(&file, all), ACCESS3_READ);
    assert_eq!(server.nobody().access(&file, all), 0);
    assert_eq!(server.nobody().create(&root, "x", 0o644).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(root_user.setattr(&file, give, None), Ok(()));
    assert_eq!(other.access(&file, all), ACCESS3_READ | ACCESS3_MODIFY | ACCESS3_EXTEND);
}

#[test]
fn a_read_only_instance_is_read_only() {
    let mut server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    client.create(&root, "file", 0o666).unwrap();
    drop(client);
    server.restart(|options| options.read_only = true, |options| options.read_only = true);
    let mut client = server.client(who(0, 0));
    let file = client.lookup(&root, "file").unwrap();
    assert_eq!(client.write(&file, 0, b"x", stable_how::UNSTABLE).unwrap_err(), nfsstat3::NFS3ERR_ROFS);
    assert_eq!(client.create(&root, "new", 0o644).unwrap_err(), nfsstat3::NFS3ERR_ROFS);
    assert_eq!(client.remove(&root, "file"), Err(nfsstat3::NFS3ERR_ROFS));
    let all = ACCESS3_READ | ACCESS3_MODIFY | ACCESS3_EXTEND | ACCESS3_DELETE;
    assert_eq!(client.access(&root, all), ACCESS3_READ);
}

#[test]
fn files_are_shown_as_whose_they_are_said_to_be() {
    let server = Server::new(|options| (options.uid, options.gid) = (Some(4321), Some(1234)));
    let mut client = server.client(who(4321, 1234));
    let root = client.root();
    let file = client.create(&root, "file", 0o600).unwrap();
    let attr = client.attr(&file).unwrap();
    assert_eq!((attr.uid, attr.gid), (4321, 1234));
    assert_eq!(server.client(who(0, 0)).attr(&root).unwrap().uid, 4321);
    assert_eq!(server.client(who(1000, 1000)).read(&file, 0, 1).unwrap_err(), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn ten_thousand_entries_are_listed_once_each_whatever_comes_and_goes() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let caller = Caller { uid: 0, gid: 0 };
    let tree = server.tree();
    for number in 0..10_000 {
        let node = nixbox_engine::NewNode { kind: nixbox_engine::Kind::File, perm: 0o644, rdev: 0, caller };
        let attr = tree.create(ROOT, OsStr::new(&format!("f{number}")), node).unwrap();
        tree.forget(attr.ino, 1);
    }
    let began = Instant::now();
    assert_eq!(client.names(&root).len(), 10_000);
    eprintln!("10,000 entries with attributes: {:?}", began.elapsed());
    assert_eq!(client.names_alone(&root).len(), 10_002, "with the dots");

    // Between any two pages some go and some come; what stays is seen once.
    let (mut cookie, mut seen, mut page_number) = (0, Vec::new(), 0);
    loop {
        let (entries, eof) = client.page(&root, cookie, false).unwrap();
        cookie = entries.last().map_or(cookie, |(_, cookie)| *cookie);
        seen.extend(entries.into_iter().map(|(name, _)| name));
        if eof {
            break;
        }
        for number in (page_number * 20..page_number * 20 + 20).filter(|number| number % 2 == 0) {
            assert_eq!(client.remove(&root, &format!("f{number}")), Ok(()));
            client.create(&root, &format!("new{number}"), 0o644).unwrap();
        }
        page_number += 1;
    }
    assert!(page_number > 10, "{page_number} pages");
    let mut counted = std::collections::HashMap::new();
    seen.iter().for_each(|name| *counted.entry(name.as_str()).or_insert(0) += 1);
    assert!(counted.values().all(|times| *times == 1));
    assert!((0..10_000).filter(|number| number % 2 == 1).all(|number| counted.contains_key(&*format!("f{number}"))));
}

#[test]
fn a_hundred_mebibytes_go_in_and_come_out() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let whole = content(BIG, 0);
    let file = client.create(&root, "big", 0o644).unwrap();
    let began = Instant::now();
    for (number, piece) in whole.chunks(1 << 20).enumerate() {
        client.write(&file, (number << 20) as u64, piece, stable_how::UNSTABLE).unwrap();
    }
    client.commit(&file).unwrap();
    eprintln!("100 MiB written and committed: {:?}", began.elapsed());
    let began = Instant::now();
    let mut read = Vec::with_capacity(BIG);
    loop {
        let (piece, eof) = client.read(&file, read.len() as u64, 1 << 20).unwrap();
        read.extend_from_slice(&piece);
        if eof {
            break;
        }
    }
    eprintln!("100 MiB read: {:?}", began.elapsed());
    assert!(read == whole);
}

#[test]
fn many_write_at_once() {
    let server = Server::new(|_| {});
    let root = server.client(who(0, 0)).root();
    let shared = server.client(who(0, 0)).create(&root, "shared", 0o666).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8usize {
            let (server, root, shared) = (&server, &root, &shared);
            scope.spawn(move || {
                let mut client = server.client(who(0, 0));
                let folder = client.mkdir(root, &format!("w{writer}"), 0o755).unwrap();
                for number in 0..50usize {
                    let file = client.create(&folder, &format!("f{number}"), 0o644).unwrap();
                    client.write(&file, 0, &content(5000, writer * 50 + number), stable_how::UNSTABLE).unwrap();
                    let at = ((number * 8 + writer) * 100) as u64;
                    client.write(shared, at, &[writer as u8 + 1; 100], stable_how::UNSTABLE).unwrap();
                }
                client.commit(shared).unwrap();
            });
        }
    });
    let mut client = server.client(who(0, 0));
    for writer in 0..8usize {
        let folder = client.lookup(&root, &format!("w{writer}")).unwrap();
        for number in 0..50usize {
            let file = client.lookup(&folder, &format!("f{number}")).unwrap();
            assert!(client.read(&file, 0, 9999).unwrap().0 == content(5000, writer * 50 + number));
        }
    }
    let (all, _) = client.read(&shared, 0, 100_000).unwrap();
    assert!(all.chunks(100).enumerate().all(|(at, piece)| piece.iter().all(|byte| *byte == (at % 8) as u8 + 1)));
}

#[test]
fn handles_outlive_the_server_and_are_stale_for_another_database() {
    let mut server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let folder = client.mkdir(&root, "folder", 0o755).unwrap();
    let file = client.create(&folder, "file", 0o644).unwrap();
    client.write(&file, 0, b"kept", stable_how::FILE_SYNC).unwrap();
    let before = client.verifier(&file);
    drop(client);
    server.restart(|_| {}, |_| {});
    let mut client = server.client(who(0, 0));
    assert_eq!(client.read(&file, 0, 9).unwrap().0, b"kept");
    assert_eq!(client.lookup(&folder, "file").unwrap(), file);
    assert_ne!(client.verifier(&file), before, "what was not committed must be sent again");

    let another = Server::new(|_| {});
    assert_eq!(another.client(who(0, 0)).attr(&file).unwrap_err(), nfsstat3::NFS3ERR_STALE);
    let junk = nfs_fh3 { data: vec![1, 2, 3].into() };
    assert_eq!(client.attr(&junk).unwrap_err(), nfsstat3::NFS3ERR_BADHANDLE);
}

#[test]
fn handles_of_what_lies_in_a_base_outlive_the_server_too() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir_all(base.path().join("a/b/c")).unwrap();
    fs::write(base.path().join("a/b/c/file"), "below").unwrap();
    fs::write(base.path().join("a/changed"), "below").unwrap();
    fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let over = BaseOptions { path: base.path().to_owned(), ..BaseOptions::default() };
    let mut server = Server::with(Options { base: Some(over), ..Options::default() }, |_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let mut at = root.clone();
    for name in ["a", "b", "c"] {
        at = client.lookup(&at, name).unwrap();
    }
    let file = client.lookup(&at, "file").unwrap();
    let a = client.lookup(&root, "a").unwrap();
    let changed = client.lookup(&a, "changed").unwrap();
    client.write(&changed, 0, b"above", stable_how::FILE_SYNC).unwrap();
    let fileid = client.attr(&file).unwrap().fileid;
    drop(client);
    server.restart(|_| {}, |_| {});

    let mut client = server.client(who(0, 0));
    assert_eq!(client.read(&file, 0, 9).unwrap().0, b"below", "found again by the way to it");
    assert_eq!(client.attr(&file).unwrap().fileid, fileid);
    assert_eq!(client.read(&changed, 0, 9).unwrap().0, b"above");
    assert_eq!(client.names(&at), BTreeSet::from(["file".to_owned()]));
    fs::remove_file(base.path().join("a/b/c/file")).unwrap();
    assert_eq!(client.attr(&file).unwrap_err(), nfsstat3::NFS3ERR_STALE);
    assert_eq!(fs::read(base.path().join("a/changed")).unwrap(), b"below");
    // Everything that it held, it has let go: what is listed afterwards is what is there.
    drop(client);
    assert_eq!(server.client(who(0, 0)).names(&at), BTreeSet::new());
}

/// Whatever a client makes up, it is of the instance or nothing.
#[test]
fn no_name_and_no_forged_handle_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    let base = outside.path().join("base");
    fs::create_dir_all(base.join("a/b")).unwrap();
    fs::write(outside.path().join("secret"), "CANARY").unwrap();
    fs::write(base.join("a/b/file"), "below").unwrap();
    for (name, target) in [("up", ".."), ("link", "../secret"), ("self", "/proc/self/root"), ("a/abs", "/")] {
        std::os::unix::fs::symlink(target, base.join(name)).unwrap();
    }
    let hidden = vec![base.canonicalize().unwrap().join("a/hidden")];
    fs::create_dir(base.join("a/hidden")).unwrap();
    fs::write(base.join("a/hidden/secret"), "CANARY").unwrap();
    let over = BaseOptions { path: base.clone(), hidden, ..BaseOptions::default() };
    let server = Server::with(Options { base: Some(over), ..Options::default() }, |_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let a = client.lookup(&root, "a").unwrap();
    let b = client.lookup(&a, "b").unwrap();
    let file = client.lookup(&b, "file").unwrap();
    let up = client.lookup(&root, "up").unwrap();
    // The top holds itself, and a link is one and no folder, whoever follows it.
    assert_eq!(client.lookup(&root, "..").unwrap(), root);
    for name in ["../secret", "a/b/file", "/etc/passwd", "../../../../etc/passwd", "", "up/secret", "self/etc"] {
        assert!(client.lookup(&root, name).is_err(), "{name:?}");
        assert!(client.create(&root, name, 0o644).is_err() && client.mkdir(&root, name, 0o755).is_err(), "{name:?}");
        assert!(client.symlink(&root, name, "x").is_err() && client.remove(&root, name).is_err(), "{name:?}");
        assert!(
            client.rename(&b, "file", &root, name).is_err() && client.link(&file, &root, name).is_err(),
            "{name:?}"
        );
    }
    assert!(client.lookup(&up, "secret").is_err() && client.page(&up, 0, false).is_err());
    assert!(client.lookup(&a, "hidden").is_err());
    assert_eq!(client.readlink(&up).unwrap(), b"..");
    // Each byte of each handle another, and whole handles made up.
    let mut tried = 0;
    for honest in [&root, &a, &b, &file, &up] {
        for at in 0..honest.data.len() {
            for change in [1, 0x80, 0xff] {
                let mut data = honest.data.to_vec();
                data[at] ^= change;
                let forged = nfs_fh3 { data: data.into() };
                let content = client.read(&forged, 0, 100).map(|(content, _)| content).unwrap_or_default();
                assert!(!content.windows(6).any(|part| part == b"CANARY"), "{forged:?}");
                for name in ["secret", "..", "hidden", "passwd"] {
                    if let Ok(found) = client.lookup(&forged, name) {
                        let content = client.read(&found, 0, 100).map(|(content, _)| content).unwrap_or_default();
                        assert!(!content.windows(6).any(|part| part == b"CANARY"), "{forged:?} {name}");
                    }
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "{tried}");
    for number in (0..400u64).chain([u64::MAX, 1 << 52, 1 << 63]) {
        let mut data = root.data[..8].to_vec();
        data.extend_from_slice(&number.to_be_bytes());
        let _ = client.attr(&nfs_fh3 { data: data.into() });
    }
    // And it still serves.
    assert_eq!(client.read(&file, 0, 9).unwrap().0, b"below");
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "CANARY");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
}

#[test]
fn a_client_sees_what_verbs_and_the_mount_wrote_and_they_what_it_writes() {
    if !common::can_mount() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open_or_create(&dir.path().join("a.db"), &Options::default()).unwrap();
    let test = common::Test::new(database.tree());
    let notices = Arc::new(test.mounted.as_ref().unwrap().notices());
    let verbs = ByPath::new(database.tree(), notices.clone(), Caller { uid: 0, gid: 0 });
    let server = Server::over(&database, notices, |_| {});
    let mut client = server.client(who(0, 0));
    let (root, mount) = (client.root(), test.path());

    fs::write(mount.join("file"), "by the mount").unwrap();
    let file = client.lookup(&root, "file").unwrap();
    assert_eq!(client.read(&file, 0, 99).unwrap().0, b"by the mount");
    assert_eq!(fs::read(mount.join("file")).unwrap(), b"by the mount");
    client.write(&file, 3, b"NFS, not", stable_how::UNSTABLE).unwrap();
    assert_eq!(fs::read(mount.join("file")).unwrap(), b"by NFS, nott");
    let mode = sattr3 { mode: set_mode3::Some(0o600), ..sattr3::default() };
    client.setattr(&file, mode, None).unwrap();
    assert_eq!(fs::metadata(mount.join("file")).unwrap().mode() & 0o777, 0o600);

    // The kernel has learnt that there is no such name, then that there is.
    assert!(!mount.join("new").exists());
    client.create(&root, "new", 0o644).unwrap();
    assert!(mount.join("new").exists());
    client.rename(&root, "new", &root, "newer").unwrap();
    assert!(!mount.join("new").exists() && mount.join("newer").exists());
    client.remove(&root, "newer").unwrap();
    assert!(!mount.join("newer").exists());
    let names: BTreeSet<_> = fs::read_dir(&mount).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["file".into()]));

    verbs.make_folder(OsStr::new("/of/verbs"), true).unwrap();
    let of = client.lookup(&root, "of").unwrap();
    assert_eq!(client.names(&of), BTreeSet::from(["verbs".to_owned()]));
    drop(server);
    test.mounted.into_iter().for_each(|mounted| drop(mounted.unmount(|| false).unwrap()));
}

#[test]
fn what_room_there_is_is_told() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let (room, disk) = (client.room(), server.tree().statfs().unwrap());
    assert_eq!(room.tbytes, disk.blocks * u64::from(disk.block_size));
    assert!(room.fbytes > 0 && room.fbytes <= room.tbytes);
}

#[test]
fn a_client_that_never_reads_holds_up_nobody_and_is_cut_off_at_the_end() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let file = client.create(&root, "file", 0o644).unwrap();
    client.write(&file, 0, &content(1 << 20, 1), stable_how::UNSTABLE).unwrap();
    let mut greedy = client::Raw::connect(server.address());
    for xid in 0..200 {
        if greedy.ask_to_read(xid, &file, 1 << 20).is_err() {
            break;
        }
    }
    assert_eq!(client.read(&file, 0, 10).unwrap().0.len(), 10);
    let watch = HeldUp::watch();
    drop(server);
    watch.assert_within(Duration::from_secs(2), "the end");
}

#[test]
fn junk_is_cut_off_and_the_others_are_served_on() {
    let server = Server::new(|_| {});
    let mut client = server.client(who(0, 0));
    let root = client.root();
    let resident = client::resident_kib();
    let (last, junk) = (1u32 << 31, content(400, 3));
    let announced: [(u32, &[u8]); 6] = [
        (u32::MAX, &[]),
        (last | 400, &junk),
        (0x7fff_ffff, &junk),
        (last, &[]),
        (last | 4, &[0; 4]),
        // A reply where a call belongs.
        (last | 12, &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (header, body) in announced {
        let mut peer = client::Raw::connect(server.address());
        peer.send_raw(header, body);
        assert!(peer.is_cut_off(), "{header:x}");
    }
    let grown = client::resident_kib().saturating_sub(resident);
    assert!(grown < 64 * 1024, "{grown} KiB were taken for what was only announced");

    // Calls that are calls, and wrong: each has an answer that says so.
    let mut peer = client::Raw::connect(server.address());
    let accepted = |stat: u32| Some((0, stat));
    assert_eq!(peer.call(100_003, 4, 0, &[]), accepted(2), "version 4");
    assert_eq!(peer.call(100_003, 3, 22, &[]), accepted(3), "no such procedure");
    assert_eq!(peer.call(100_227, 3, 0, &[]), accepted(1), "no such program");
    assert_eq!(peer.call(100_003, 3, 1, &[0xff; 8]), accepted(4), "a handle longer than the message");
    assert_eq!(peer.call(100_003, 3, 0, &[0; 4]), accepted(4), "arguments left over");
    assert_eq!(peer.call(100_003, 3, 0, &[]), accepted(0));
    for procedure in 0..23 {
        for length in [0, 4, 8, 40, 200] {
            let answer = peer.call(100_003, 3, procedure, &junk[..length]);
            assert!(matches!(answer, Some((0, 0 | 3 | 4))), "{procedure} {length} {answer:?}");
        }
    }
    assert_eq!(client.names(&root), BTreeSet::new());
}

#[test]
fn of_more_clients_than_there_is_room_for_the_silent_ones_go() {
    let server = Server::new(|_| {});
    let root = server.client(who(0, 0)).root();
    let mut silent: Vec<_> = (0..200).map(|_| client::Raw::connect(server.address())).collect();
    // It was heard of last, so it is still there, or let in again.
    let mut again = server.client(who(0, 0));
    assert_eq!(again.names(&root), BTreeSet::new());
    assert!(silent[0].is_cut_off());
}
