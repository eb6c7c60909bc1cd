//! What the crates below say, as the failures that people and programs know. The one place where a code is chosen.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use nixbox_config::Instance;
use nixbox_engine::{Error as Database, StoreErrorKind};
use nixbox_mount::Error as Mount;
use nixbox_report::{Failure, Report, codes};
use nixbox_supervisor::Ended;

pub(crate) fn io(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::new(&codes::DATABASE_NO_ROOM, format!("there is no room for {}", path.display()))
            .why(error)
            .help("make room there and try again");
    }
    Failure::new(&codes::IO, format!("{} cannot be used", path.display()))
        .why(error)
        .help("see to it that this user may write there")
}

pub(crate) fn socket(instance: &Instance, error: &io::Error) -> Failure {
    let path = instance.paths.socket.display();
    if error.kind() == io::ErrorKind::AddrInUse {
        return Failure::new(&codes::OWNER_HELD, format!("another owner answers at {path}"))
            .why("two projects share one runtime folder and have an instance of one name")
            .help("set `runtime_dir` in one of them, or rename the instance");
    }
    Failure::new(&codes::OWNER_RUNTIME_DIR, format!("the control socket {path} cannot be made"))
        .why(error)
        .help("choose another folder with `runtime_dir`")
}

pub(crate) fn http(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(&codes::HTTP_BIND, format!("HTTP cannot listen on {address}"))
        .why(error)
        .help("choose another `http.port`; 0 takes any that is free")
}

pub(crate) fn nfs(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(&codes::NFS_BIND, format!("NFS cannot be served on {address}"))
        .why(error)
        .help("choose another `nfs.port`; 0 takes any that is free")
}

pub(crate) fn upstream_missing(program: &Path, error: &io::Error) -> Failure {
    Failure::new(&codes::UPSTREAM_MISSING, format!("{} cannot be started", program.display()))
        .why(error)
        .help("name upstream's program with `agentfs_program` or NIXBOX_AGENTFS, or set `engine = \"builtin\"`")
}

pub(crate) fn upstream_ended(ended: &Ended) -> Failure {
    let failure = Failure::new(&codes::UPSTREAM_ENDED, format!("`agentfs` ended by itself, with {}", ended.describe()));
    let last: Vec<_> = ended.last.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
    let failure = match last.is_empty() {
        true => failure.why("it said nothing"),
        false => failure.why(last.join("\n        ")),
    };
    failure.help("start it again; `engine = \"builtin\"` works on the same database")
}

pub(crate) fn upstream_silent() -> Failure {
    Failure::new(&codes::UPSTREAM_SILENT, "`agentfs` was started and does not serve")
        .why("its mount, or its port, did not answer in time")
        .help("look at the log; `engine = \"builtin\"` works on the same database")
}

pub(crate) fn upstream_alone(name: &str) -> Failure {
    Failure::new(&codes::UPSTREAM_ALONE, format!("instance `{name}` is in the hands of `agentfs`"))
        .why("upstream's program lets nobody else at a database while it has it open")
        .help(format!("stop it with `nixbox-helper stop {name}` and ask again, or set `engine = \"builtin\"`"))
}

pub(crate) fn database(path: &Path, error: Database) -> Failure {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let path = path.display();
    let new = |code, what: &str| Failure::new(code, format!("{path} {what}"));
    match &error {
        Database::Busy { pid: Some(pid), .. } => new(&codes::DATABASE_BUSY, &format!("is in use by pid {pid}"))
            .why("a program other than a nixbox owner has it open")
            .help("end that program; `agentfs mount` ends when its mount is unmounted"),
        Database::Busy { pid: None, .. } => new(&codes::DATABASE_BUSY, "is in use by another program")
            .why(&error)
            .help("end that program; `agentfs mount` ends when its mount is unmounted"),
        Database::NotAgentFs { .. } => new(&codes::DATABASE_FOREIGN, "is not an AgentFS database")
            .why(&error)
            .help("move it away, or set another `data_dir`"),
        Database::OldSchema { .. } => new(&codes::DATABASE_OLD, "has an old schema")
            .why(&error)
            .help(format!("bring it up to date with `nixbox-helper migrate {path}`, which keeps a copy")),
        Database::NewSchema { .. } => new(&codes::DATABASE_NEWER, "has a newer schema than this version knows")
            .why(&error)
            .help("open it with a newer nixbox"),
        Database::NoLog { .. } => new(&codes::DATABASE_NO_LOG, "came without its write-ahead log")
            .why(&error)
            .help(format!("put `{path}-wal` beside it, from where the file came; remove the file to begin anew")),
        Database::Encrypted { cipher, .. } => new(&codes::DATABASE_ENCRYPTED, "is encrypted")
            .why("the instance is declared without `encryption`")
            .help(format!("declare `encryption = {{ cipher = \"{cipher}\", key_file = \"…\" }}` for it")),
        Database::NotEncrypted { .. } => new(&codes::DATABASE_PLAIN, "is not encrypted")
            .why("the instance is declared with `encryption`")
            .help("encrypt it with `nixbox-helper rekey`, or take `encryption` out"),
        Database::OtherCipher { found, .. } => new(&codes::DATABASE_CIPHER, "is encrypted with another cipher")
            .why(&error)
            .help(format!("set `encryption.cipher = \"{found}\"`")),
        Database::WrongKey { .. } => new(&codes::KEY_WRONG, "is encrypted with another key")
            .why(&error)
            .help("give the key that it was made with; the file was left as it is"),
        Database::Overlay { base, .. } => {
            new(&codes::DATABASE_OVERLAY, "is an overlay, and the instance has no `base`")
                .why(&error)
                .help(format!("set `base = {:?}`", base.display().to_string()))
        }
        Database::BaseMoved { recorded, .. } => new(&codes::DATABASE_BASE_MOVED, "lies over another folder")
            .why(&error)
            .help(format!(
                "if that was moved, say so with `nixbox-helper instance relocate {name} DIR`; else set `base = {:?}`, or another `data_dir`",
                recorded.display().to_string()
            )),
        Database::NoBase { .. } => new(&codes::BASE_NONE, "lies over no folder")
            .why("it was never brought up with a `base`")
            .help("set `base`, and bring it up"),
        Database::BaseAnother { base, .. } => {
            Failure::new(&codes::BASE_ANOTHER, format!("{} does not look like the base that was moved", base.display()))
                .why(&error)
                .help("name the right folder, or say that it is this one all the same with --force")
        }
        Database::HoldsFiles { .. } => new(&codes::DATABASE_HOLDS_FILES, "holds files, which `direct` mode would hide")
            .why(&error)
            .help("set `mode = \"overlay\"` to see them, or another `data_dir`"),
        Database::BaseMissing { base, .. } => {
            Failure::new(&codes::BASE_MISSING, format!("The base {} cannot be used", base.display()))
                .why(&error)
                .help("make the folder, or name another with `base`")
        }
        Database::BadGlob { .. } => Failure::new(&codes::BASE_EXCLUDE, "A pattern in `exclude` is not possible")
            .why(&error)
            .help("write it as in a .gitignore"),
        Database::Damaged { .. } => damaged(&path, &error),
        Database::Store(store) if matches!(store.kind, StoreErrorKind::Damaged | StoreErrorKind::GaveUp) => {
            damaged(&path, &error)
        }
        error => match error.errno() {
            libc::EROFS | libc::EACCES | libc::EPERM => new(&codes::DATABASE_READ_ONLY, "may not be written")
                .why(error)
                .help("see to it that this user may write the file and its folder; `nixbox-helper fsck` only reads"),
            libc::ENOSPC | libc::EDQUOT => new(&codes::DATABASE_NO_ROOM, "needs more room than the disk has")
                .why(error)
                .help("make room there and try again"),
            _ => new(&codes::DATABASE_FAILED, "cannot be opened")
                .why(error)
                .help("see to it that this user may write there"),
        },
    }
}

pub(crate) fn never_brought_up(instance: &Instance) -> Failure {
    Failure::new(&codes::DATABASE_MISSING, format!("{} does not exist", instance.paths.db.display()))
        .why(format_args!("instance `{}` was never brought up", instance.name))
        .help(format!("create it with `nixbox-helper init {}`", instance.name))
}

/// That a base was to be moved to.
pub(crate) fn no_folder(dir: &Path, error: &Database) -> Failure {
    Failure::new(&codes::BASE_MISSING, format!("{} cannot be a base", dir.display()))
        .why(error)
        .help("name a folder that is there")
}

/// Of a request on a database that is open.
pub(crate) fn working(error: Database) -> Report {
    let limit = |key: &str| {
        Failure::new(&codes::FILE_LIMIT, "the instance is full")
            .why(&error)
            .help(format!("remove something, or raise `{key}` and start its owner anew"))
    };
    let failure = match error.errno() {
        _ if matches!(error, Database::NotLoaded { .. }) => not_loaded(&error),
        _ if matches!(error, Database::LimitSize { .. }) => limit("limits.size"),
        _ if matches!(error, Database::LimitFiles { .. }) => limit("limits.files"),
        libc::EROFS => Failure::new(&codes::FILE_READ_ONLY, "the instance is read-only")
            .why("it is declared with `mount.read_only`")
            .help("turn that off and restart its owner"),
        libc::ENOSPC | libc::EDQUOT => Failure::new(&codes::FILE_NO_ROOM, "there is no room left")
            .why("the disk that holds the database is full")
            .help("make room there and try again"),
        _ => {
            Failure::new(&codes::FILE_FAILED, "the database could not do it").why(error).help("look at the owner's log")
        }
    };
    failure.into()
}

fn not_loaded(error: &Database) -> Failure {
    let path = if let Database::NotLoaded { path, .. } = error { path.as_str() } else { "a file" };
    Failure::new(&codes::SYNC_NOT_LOADED, format!("{path} is not loaded yet"))
        .why(error)
        .help("try again when the remote answers; `nixbox-helper sync fetch` loads what will be needed without it")
}

/// Of a request on one file of the instance.
pub(crate) fn file(path: &Path, error: Database) -> Report {
    let shown = path.display();
    let new = |code, what: &str| Failure::new(code, format!("{shown} {what}"));
    let failure = match error.errno() {
        libc::ENOENT => new(&codes::FILE_MISSING, "is not in the instance")
            .help("paths start at the instance's root; `nixbox-helper fs ls` shows what is there"),
        libc::EEXIST => new(&codes::FILE_EXISTS, "is there already").help("remove it first, or choose another name"),
        libc::ENOTEMPTY => new(&codes::FILE_NOT_EMPTY, "is not empty").help("remove what is in it first"),
        libc::EISDIR => new(&codes::FILE_KIND, "is a folder").help("name a file; folders need `-r` where there is one"),
        libc::ENOTDIR => new(&codes::FILE_KIND, "is no folder, or leads through a file")
            .help("`nixbox-helper fs stat` says what it is"),
        libc::ENXIO => new(&codes::FILE_KIND, "is no regular file").help("`nixbox-helper fs stat` says what it is"),
        libc::EINVAL => new(&codes::FILE_NAME, "cannot be used for that")
            .why("it is a name that no file can have, or lies within itself"),
        libc::EBUSY => new(&codes::FILE_KIND, "is the root of the instance").help("name what is in it"),
        libc::ELOOP => new(&codes::FILE_LOOP, "leads through links in a circle")
            .help("`nixbox-helper fs stat` shows where a link leads"),
        libc::EILSEQ => new(&codes::FILE_NAME, "is not UTF-8")
            .why("the AgentFS format stores names as text")
            .help("choose another name"),
        libc::ENAMETOOLONG => new(&codes::FILE_NAME, "has a name that is too long")
            .why("a name may have 255 bytes")
            .help("choose a shorter one"),
        _ => return working(error),
    };
    failure.into()
}

fn damaged(path: &dyn std::fmt::Display, error: &Database) -> Failure {
    Failure::new(&codes::DATABASE_DAMAGED, format!("{path} is damaged")).why(error).help(format!(
        "`nixbox-helper fsck {path}` says what is wrong; copy it and its `-wal` away before anything else"
    ))
}

/// `wanted`: the mountpoint as it was configured.
pub(crate) fn mount(wanted: &Path, error: Mount) -> Failure {
    let new = |code, what: &str| Failure::new(code, format!("{} {what}", wanted.display()));
    match &error {
        Mount::NoFuse(why) => new(&codes::MOUNT_NO_FUSE, "cannot be mounted: /dev/fuse cannot be opened")
            .why(why)
            .help("load the module with `modprobe fuse`; in a container pass the device in (`--device /dev/fuse`)"),
        Mount::NoNfs(why) => new(&codes::MOUNT_NO_NFS, "cannot be mounted by NFS")
            .why(why)
            .help("set `mount.backend = \"fuse\"`, or \"none\" and a table `nfs` for clients of their own"),
        Mount::NoFusermount => new(&codes::MOUNT_NO_FUSERMOUNT, "cannot be mounted: fusermount3 was not found")
            .why("users other than root mount through it")
            .help("install fuse3 (NixOS: `programs.fuse.enable = true`)"),
        Mount::AllowOther => new(&codes::MOUNT_ALLOW_OTHER, "may not be opened to other users")
            .why(&error)
            .help("put the line `user_allow_other` there, or turn `allow_other` and `allow_root` off"),
        Mount::Busy { source_name, .. } => {
            let failure = new(&codes::MOUNT_BUSY, "is a mount already");
            match owner_behind(source_name) {
                Some(pid) => failure
                    .why(format!("process {pid} serves {} there", source_name.display()))
                    .help(format!("end that owner with `kill {pid}`, which unmounts, or choose another `mount.path`")),
                None => failure
                    .why(format!("{} is mounted there", source_name.display()))
                    .help(format!("unmount it with `umount {}`, or choose another `mount.path`", wanted.display())),
            }
        }
        Mount::Stale { source, .. } => new(&codes::MOUNT_STALE, "holds a dead mount that cannot be removed")
            .why(source)
            .help(format!("try `fusermount3 -uz {}`, as root if need be", wanted.display())),
        Mount::NotEmpty { .. } => new(&codes::MOUNT_NOT_EMPTY, "is not empty")
            .why("the mount would hide what is in it")
            .help("move the files away, or choose another `mount.path`"),
        Mount::Missing { .. } => new(&codes::MOUNT_MISSING, "does not exist")
            .why("`mount.create` is off")
            .help("make the folder, or turn `mount.create` on"),
        Mount::NotAFolder { path } => new(&codes::MOUNT_NOT_A_FOLDER, "is not a folder")
            .why(format!("{} is something else", path.display()))
            .help("choose another `mount.path`"),
        Mount::Mountpoint { .. } => new(&codes::MOUNT_FAILED, "cannot be used as mountpoint")
            .why(&error)
            .help("see to it that this user may write there"),
        Mount::Silent => new(&codes::MOUNT_FAILED, "was mounted and did not answer")
            .why(&error)
            .help("look at the log; `NIXBOX_LOG_FORMAT=json` and `--log-level debug` say more"),
        _ => new(&codes::MOUNT_FAILED, "cannot be mounted")
            .why(&error)
            .help("look at `dmesg`, and try the mountpoint with another FUSE program"),
    }
}

/// The owner that holds the database of a mount: its lock lies beside that.
fn owner_behind(source: &OsStr) -> Option<i32> {
    let database = source.to_str()?.strip_prefix("agentfs:")?;
    let lock = Path::new(database).with_extension("d").join("owner.lock");
    Some(nixbox_state::Lock::live_holder(&lock)?.process.pid)
}
