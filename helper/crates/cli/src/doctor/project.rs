//! What the project asks of the machine.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::statfs;
use nixbox_config::{Instance, Mode, Project};
use nixbox_mounts::{Health, mount_at};
use nixbox_report::codes;
use nixbox_state::Lock;

use super::{Finding, encryption, http};
use crate::recorded;

/// `recorded_base`: of a database that nobody serves.
pub fn findings(project: &Project, recorded_base: &dyn Fn(&Instance) -> Option<PathBuf>) -> Vec<Finding> {
    let mut findings = vec![data_dir(project), runtime_dir(project)];
    for instance in project.instances.values() {
        findings.extend(leftovers(instance));
        findings.extend(encryption::findings(instance));
    }
    for instance in project.enabled() {
        findings.extend(http::findings(instance));
        findings.extend(nfs_port(instance));
    }
    let help = "`mode = \"overlay\"` keeps changes apart until they are reviewed";
    findings.extend(project.enabled().filter_map(|instance| base(instance, recorded_base)));
    findings.extend(project.warnings().into_iter().map(|found| Finding::warn("configuration", found, help)));
    findings
}

/// The nearest folder that exists: where the missing ones would be made.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

fn data_dir(project: &Project) -> Finding {
    const SUBJECT: &str = "data folder";
    let folder = &project.data_dir;
    let place = existing(folder);
    let shown = folder.display();
    if nix::unistd::access(place, nix::unistd::AccessFlags::W_OK).is_err() {
        let help = "choose another `data_dir`, or make that one writable";
        return Finding::fail(SUBJECT, &codes::IO, format!("{} may not be written", place.display()), help);
    }
    match statfs(place).map(|fs| fs.filesystem_type().0).ok().and_then(unsuited) {
        Some(kind) => Finding::warn(
            SUBJECT,
            format!("{shown} is on {kind}, where file locks and shared memory are not reliable"),
            "SQLite needs both: choose a `data_dir` on a local disk",
        ),
        None => Finding::ok(SUBJECT, shown.to_string()),
    }
}

/// File systems on which a database in WAL mode is not safe.
#[allow(clippy::unnecessary_cast, reason = "the number's type differs between C libraries")]
fn unsuited(magic: nix::libc::__fsword_t) -> Option<&'static str> {
    match magic as i64 {
        0x6969 => Some("NFS"),
        0x0102_1997 => Some("9p"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => Some("SMB"),
        0x6573_5546 => Some("another FUSE file system"),
        _ => None,
    }
}

fn runtime_dir(project: &Project) -> Finding {
    const SUBJECT: &str = "runtime folder";
    let folder = &project.runtime_dir;
    let shown = folder.display();
    let help = "set `runtime_dir` to a folder of your own";
    match folder.symlink_metadata() {
        Ok(meta) if !meta.is_dir() => {
            Finding::fail(SUBJECT, &codes::OWNER_RUNTIME_DIR, format!("{shown} is not a folder"), help)
        }
        Ok(meta) if meta.uid() != nix::unistd::geteuid().as_raw() => {
            Finding::fail(SUBJECT, &codes::OWNER_RUNTIME_DIR, format!("{shown} belongs to user {}", meta.uid()), help)
        }
        Ok(meta) if meta.mode() & 0o077 != 0 => Finding::warn(
            SUBJECT,
            format!("{shown} is open to others"),
            "the next owner closes it; `chmod 700` does so now",
        ),
        Ok(_) => Finding::ok(SUBJECT, shown.to_string()),
        Err(_) if nix::unistd::access(existing(folder), nix::unistd::AccessFlags::W_OK).is_ok() => {
            Finding::ok(SUBJECT, format!("{shown} (made when needed)"))
        }
        Err(error) => {
            Finding::fail(SUBJECT, &codes::OWNER_RUNTIME_DIR, format!("{shown} cannot be made: {error}"), help)
        }
    }
}

/// What a killed owner left, and mounts by others where ours should be.
fn leftovers(instance: &Instance) -> Vec<Finding> {
    let subject = format!("instance {}", instance.name);
    let repair = format!("the next start repairs it; `nixbox-helper down {}` does so now", instance.name);
    if let Some(process) =
        recorded::owner(instance).filter(|_| instance.mode != Mode::Ephemeral && !instance.paths.db.exists())
    {
        let found = format!("{} was deleted while process {} serves it", instance.paths.db.display(), process.pid);
        let help = format!("save what you need out of it, then `nixbox-helper down {}`", instance.name);
        return vec![Finding::fail(&subject, &codes::DATABASE_MISSING, found, help)];
    }
    if let Some(holder) = Lock::live_holder(&instance.paths.lock) {
        return vec![Finding::ok(&subject, format!("served by process {}", holder.process.pid))];
    }
    let mut findings: Vec<_> = database(instance).into_iter().collect();
    let mounted = instance.mount.as_ref().and_then(|mount| mount_at(&mount.path).ok().flatten());
    if let Some(mounted) = mounted {
        let path = mounted.path.display();
        findings.push(match (mounted.database(), mounted.health()) {
            (Some(_), Health::Dead) => Finding::warn(&subject, format!("a dead mount is at {path}"), repair.clone()),
            (Some(database), _) => Finding::fail(
                &subject,
                &codes::MOUNT_BUSY,
                format!("{} is mounted at {path} by another program than nixbox", database.display()),
                format!("unmount it with `nixbox-helper unmount {path}`"),
            ),
            (None, _) => Finding::fail(
                &subject,
                &codes::MOUNT_BUSY,
                format!("{} is mounted at {path}", mounted.source.display()),
                "choose another `mount.path`, or unmount it",
            ),
        });
    }
    if [&instance.paths.record, &instance.paths.socket].iter().any(|path| path.exists()) {
        findings.push(Finding::warn(&subject, "a record of an owner that is gone is left", repair));
    }
    if findings.is_empty() && instance.enable {
        findings.push(Finding::ok(&subject, "not running, nothing left behind"));
    }
    findings
}

/// What can be told of a database by its first bytes and its length.
fn database(instance: &Instance) -> Option<Finding> {
    let path = &instance.paths.db;
    let length = path.metadata().ok()?.len();
    let mut head = Vec::new();
    File::open(path).ok()?.take(100).read_to_end(&mut head).ok()?;
    let subject = format!("instance {}", instance.name);
    let shown = path.display();
    let look = format!("`nixbox-helper fsck {}` says more", instance.name);
    // Upstream's mark of an encrypted one.
    if head.is_empty() || head.starts_with(b"Turso") {
        return None;
    }
    if !head.starts_with(b"SQLite format 3\0") {
        let help = format!("move it away, or set another `data_dir`; {look}");
        return Some(Finding::fail(&subject, &codes::DATABASE_FOREIGN, format!("{shown} is no database"), help));
    }
    let number = |from: usize| Some(u32::from_be_bytes(head.get(from..from + 4)?.try_into().ok()?));
    let page = match head.get(16..18) {
        Some([0, 1]) => 65536,
        Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    // The count of pages holds where both counters of changes say so.
    let counted = number(24).filter(|changes| Some(*changes) == number(92)).and_then(|_| number(28));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = Path::new(&log).exists();
    if length < 100 || (!has_log && counted.is_some_and(|pages| u64::from(pages) * page > length)) {
        return Some(Finding::fail(&subject, &codes::DATABASE_DAMAGED, format!("{shown} is cut off"), look));
    }
    if length <= page && !has_log && head.get(18) == Some(&2) {
        let found = format!("{shown} holds nothing, and the {shown}-wal that belongs to it is not there");
        return Some(Finding::fail(
            &subject,
            &codes::DATABASE_NO_LOG,
            found,
            "put it beside the file, from where that came",
        ));
    }
    None
}

fn base(instance: &Instance, recorded_base: &dyn Fn(&Instance) -> Option<PathBuf>) -> Option<Finding> {
    let base = &instance.base.as_ref()?.path;
    let subject = format!("instance {}", instance.name);
    let Ok(real) = base.canonicalize() else {
        let help = format!(
            "make it, or name another; one that was moved: `nixbox-helper instance relocate {} DIR`",
            instance.name
        );
        return Some(Finding::fail(
            &subject,
            &codes::BASE_MISSING,
            format!("its base {} is not there", base.display()),
            help,
        ));
    };
    if instance.mode != Mode::Overlay
        || instance.encryption.is_some()
        || !instance.paths.db.exists()
        || Lock::live_holder(&instance.paths.lock).is_some()
    {
        return None;
    }
    let recorded = recorded_base(instance)?;
    if recorded.canonicalize().as_deref().unwrap_or(&recorded) == real {
        return None;
    }
    let found = format!("its database lies over {}, and `base` is {}", recorded.display(), base.display());
    let help = format!(
        "`nixbox-helper instance relocate {} {}` where that was moved, else set `base`",
        instance.name,
        base.display()
    );
    Some(Finding::fail(&subject, &codes::DATABASE_BASE_MOVED, found, help))
}

/// One that was asked for by number, and that nobody may have yet.
fn nfs_port(instance: &Instance) -> Option<Finding> {
    let nfs = instance.nfs.as_ref().filter(|nfs| nfs.port != 0)?;
    if Lock::live_holder(&instance.paths.lock).is_some() {
        return None;
    }
    let subject = format!("instance {}", instance.name);
    let address = std::net::SocketAddr::new(nfs.bind, nfs.port);
    Some(match TcpListener::bind(address) {
        Ok(_) => Finding::ok(&subject, format!("{address} is free")),
        Err(error) => {
            let help = "choose another `nfs.port`, or 0 for any free one";
            Finding::fail(&subject, &codes::NFS_BIND, format!("{address} cannot be used: {error}"), help)
        }
    })
}
