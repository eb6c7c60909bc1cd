//! What programs do to a folder, and what POSIX says comes of it. The same for every tree below the mount.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

pub fn files_and_folders(dir: &Path) {
    fs::create_dir_all(dir.join("a/b")).unwrap();
    fs::write(dir.join("a/b/f"), b"content").unwrap();
    assert_eq!(fs::read(dir.join("a/b/f")).unwrap(), b"content");
    assert_eq!(fs::metadata(dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    // What was just said to be missing must be seen once it is there.
    fs::write(dir.join("none"), b"").unwrap();
    assert_eq!(fs::metadata(dir.join("none")).unwrap().len(), 0);
    assert_eq!(fs::remove_dir(dir.join("a")).unwrap_err().raw_os_error(), Some(libc::ENOTEMPTY));
    fs::remove_dir_all(dir.join("a")).unwrap();
    assert!(!dir.join("a").exists());
    let longest = "n".repeat(255);
    fs::write(dir.join(&longest), b"").unwrap();
    let too_long = fs::write(dir.join("n".repeat(256)), b"").unwrap_err();
    assert_eq!(too_long.raw_os_error(), Some(libc::ENAMETOOLONG));
}

pub fn links_and_special_files(dir: &Path) {
    symlink("somewhere/else", dir.join("link")).unwrap();
    assert_eq!(fs::read_link(dir.join("link")).unwrap(), Path::new("somewhere/else"));
    fs::write(dir.join("one"), b"1").unwrap();
    fs::hard_link(dir.join("one"), dir.join("two")).unwrap();
    let (one, two) = (fs::metadata(dir.join("one")).unwrap(), fs::metadata(dir.join("two")).unwrap());
    assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
    fs::remove_file(dir.join("one")).unwrap();
    assert_eq!(fs::metadata(dir.join("two")).unwrap().nlink(), 1);
    mkfifo(&dir.join("fifo"), Mode::S_IRWXU).unwrap();
    assert!(fs::metadata(dir.join("fifo")).unwrap().file_type().is_fifo());
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    assert!(fs::metadata(dir.join("socket")).unwrap().file_type().is_socket());
    if nix::unistd::geteuid().is_root() {
        mknod(&dir.join("null"), SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 3)).unwrap();
        assert_eq!(fs::metadata(dir.join("null")).unwrap().rdev(), makedev(1, 3));
    }
}

pub fn attributes(dir: &Path) {
    let path = dir.join("f");
    fs::write(&path, b"0123456789").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(4).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000, 5);
    file.set_modified(long_ago).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1_500);
    file.set_modified(before_1970).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before_1970);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(7), Some(8)).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (7, 8));
    }
    let statfs = nix::sys::statvfs::statvfs(dir).unwrap();
    assert!(statfs.blocks() > 0 && statfs.name_max() == 255);
}

pub fn renames(dir: &Path) {
    fs::write(dir.join("a"), b"a").unwrap();
    fs::write(dir.join("b"), b"b").unwrap();
    let rename = |flags| {
        let path = |name: &str| CString::new(dir.join(name).as_os_str().as_bytes()).unwrap();
        let (from, to) = (path("a"), path("b"));
        // SAFETY: both paths end in NUL and live until the call returns.
        match unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), flags) } {
            0 => 0,
            _ => std::io::Error::last_os_error().raw_os_error().unwrap(),
        }
    };
    assert_eq!(rename(libc::RENAME_NOREPLACE), libc::EEXIST);
    for (a, b) in [(b"b", b"a"), (b"a", b"b")] {
        assert_eq!(rename(libc::RENAME_EXCHANGE), 0);
        assert_eq!((&fs::read(dir.join("a")).unwrap()[..], &fs::read(dir.join("b")).unwrap()[..]), (&a[..], &b[..]));
    }
    assert_eq!(rename(libc::RENAME_WHITEOUT), libc::EINVAL);
    assert_eq!(rename(0), 0);
    assert_eq!(fs::read(dir.join("b")).unwrap(), b"a");
    assert!(!dir.join("a").exists());
    fs::create_dir(dir.join("sub")).unwrap();
    fs::rename(dir.join("b"), dir.join("sub/b")).unwrap();
    fs::rename(dir.join("sub"), dir.join("moved")).unwrap();
    assert_eq!(fs::read(dir.join("moved/b")).unwrap(), b"a");
}

pub fn open_files(dir: &Path) {
    let path = dir.join("f");
    fs::write(&path, vec![7u8; 100_000]).unwrap();
    let file = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 0);
    // Far behind the end: what lies between reads as zeros.
    file.write_at(b"x", 1_000_000).unwrap();
    let data = fs::read(&path).unwrap();
    assert_eq!(data.len(), 1_000_001);
    assert!(data[..1_000_000].iter().all(|byte| *byte == 0));

    let mut gone =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(dir.join("gone")).unwrap();
    fs::remove_file(dir.join("gone")).unwrap();
    gone.write_all(b"still here").unwrap();
    gone.sync_all().unwrap();
    gone.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    gone.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), gone.metadata().unwrap().nlink()), ("still here", 0));

    let taken = OpenOptions::new().write(true).create_new(true).open(&path).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

    let direct = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_DIRECT)
        .open(dir.join("direct"));
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    direct.unwrap().write_all(&Page([9; 4096]).0).unwrap();
    assert_eq!(fs::read(dir.join("direct")).unwrap(), [9; 4096]);
}

pub fn mapped_files(dir: &Path) {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(dir.join("mapped")).unwrap();
    file.set_len(8192).unwrap();
    super::Mapped::new(&dir.join("mapped")).write(5000, b'!');
    file.sync_all().unwrap();
    assert_eq!(fs::read(dir.join("mapped")).unwrap()[5000], b'!');
}

pub fn programs_and_locks(dir: &Path) {
    let script = dir.join("script");
    fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(Command::new(&script).status().unwrap().code(), Some(7));
    let (first, second) = (File::open(&script).unwrap(), File::open(&script).unwrap());
    first.lock().unwrap();
    assert!(second.try_lock().is_err());
    first.unlock().unwrap();
    second.try_lock().unwrap();
}

/// Four writers to one file; each line must be there, whole.
pub fn appending_from_everywhere(dir: &Path) {
    let path = dir.join("log");
    thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for line in 0..250 {
                    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
                    file.write_all(format!("{writer} {line:04}\n").as_bytes()).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((text.len(), lines.len()), (1000 * 7, 1000));
}

pub fn removing_while_listing(dir: &Path) {
    let many = dir.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..5000 {
        fs::write(many.join(number.to_string()), b"").unwrap();
    }
    assert_eq!(fs::read_dir(&many).unwrap().count(), 5000);
    assert!(Command::new("rm").arg("-r").arg(&many).status().unwrap().success());
    assert!(!many.exists());
}

type Work = (&'static str, fn(&Path));

const ALL: &[Work] = &[
    ("files and folders", files_and_folders),
    ("links and special files", links_and_special_files),
    ("attributes", attributes),
    ("renames", renames),
    ("open files", open_files),
    ("mapped files", mapped_files),
    ("programs and locks", programs_and_locks),
    ("appending from everywhere", appending_from_everywhere),
    ("removing while listing", removing_while_listing),
];

/// Each in a folder of its own.
pub fn run_all(mount: &Path) {
    for (name, work) in ALL {
        let dir = mount.join(name);
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("{name}: {error}"));
        work(&dir);
    }
}
