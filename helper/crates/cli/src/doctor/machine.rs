//! What the machine offers.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nixbox_report::codes;

use super::{Finding, Grade};
use crate::owner_binary;

/// What a project's mounts ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Others than an owner are to see its mount.
    pub shared: bool,
    /// `auto`, or nothing said.
    pub auto: bool,
    pub fuse: bool,
    pub nfs: bool,
}

/// What a mount cannot do without, and by what it will be made.
pub fn mounting(asked: Needs) -> Vec<Finding> {
    const SUBJECT: &str = "backend";
    let mut findings = vec![fuse_device(), fusermount()];
    if asked.shared {
        findings.push(allow_other());
    }
    let has_fuse = !findings.iter().any(|finding| finding.grade == Grade::Fail);
    let nfs = nixbox_mounts::can_mount_nfs();
    if asked.auto {
        findings.push(match (has_fuse, nfs) {
            (true, _) => Finding::ok(SUBJECT, "`auto` mounts by FUSE"),
            (false, Ok(())) => Finding::ok(SUBJECT, "`auto` mounts by the kernel's NFS, as there is no FUSE"),
            (false, Err(why)) => Finding::info(SUBJECT, format!("`auto` has no other way: {why}")),
        });
    }
    if asked.nfs {
        findings.push(match nfs {
            Ok(()) => Finding::ok(SUBJECT, "`nfs` mounts by the kernel's NFS"),
            Err(why) => {
                let help = "set `mount.backend = \"fuse\"`, or \"none\" and a table `nfs` for clients of their own";
                Finding::fail(SUBJECT, &codes::MOUNT_NO_NFS, why, help)
            }
        });
    }
    // What nobody needs is not in the way.
    if !asked.fuse && nfs.is_ok() {
        for finding in findings.iter_mut().filter(|finding| finding.grade == Grade::Fail) {
            *finding = Finding::info(&finding.subject, finding.found.clone());
        }
    }
    findings
}

/// Upstream's program, for the instances that it is the engine of.
pub fn upstream(named: Option<&Path>) -> Finding {
    const NAME: &str = "agentfs";
    let help = "name it with `agentfs_program` or NIXBOX_AGENTFS, or set `engine = \"builtin\"`";
    let Some(program) = named.map(Path::to_owned).or_else(|| on_path(NAME)) else {
        return Finding::fail(NAME, &codes::UPSTREAM_MISSING, "`agentfs` is not on PATH", help);
    };
    let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    match said.strip_prefix("agentfs ") {
        Some(version) => Finding::ok(NAME, format!("{} ({})", program.display(), version.trim_start_matches('v'))),
        None => {
            let found = format!("{} is not upstream's program: it says {said:?} of its version", program.display());
            Finding::fail(NAME, &codes::UPSTREAM_MISSING, found, help)
        }
    }
}

fn fuse_device() -> Finding {
    const DEVICE: &str = "/dev/fuse";
    match OpenOptions::new().read(true).write(true).open(DEVICE) {
        Ok(_) => Finding::ok("fuse", format!("{DEVICE} opens")),
        Err(error) => {
            let help = match error.kind() {
                ErrorKind::NotFound => {
                    "load it with `modprobe fuse`; in a container add `--device /dev/fuse --cap-add SYS_ADMIN`"
                }
                _ => "make it readable and writable for this user, usually mode 0666",
            };
            Finding::fail("fuse", &codes::MOUNT_NO_FUSE, format!("{DEVICE} cannot be opened: {error}"), help)
        }
    }
}

fn fusermount() -> Finding {
    match (nixbox_mounts::fusermount::find(), nix::unistd::geteuid().is_root()) {
        (Some(program), _) => Finding::ok("fusermount3", program.display().to_string()),
        (None, true) => Finding::info("fusermount3", "not installed; root mounts without it"),
        (None, false) => Finding::fail(
            "fusermount3",
            &codes::MOUNT_NO_FUSERMOUNT,
            "`fusermount3` is not on PATH, and users other than root need it to mount",
            "install the package fuse3; on NixOS set `programs.fuse.enable = true`",
        ),
    }
}

fn allow_other() -> Finding {
    const CONF: &str = "/etc/fuse.conf";
    let allowed =
        std::fs::read_to_string(CONF).is_ok_and(|text| text.lines().any(|line| line.trim() == "user_allow_other"));
    match (allowed, nix::unistd::geteuid().is_root()) {
        (true, _) => Finding::ok("allow_other", format!("{CONF} allows it")),
        (false, true) => Finding::ok("allow_other", "root needs no permission for it"),
        (false, false) => Finding::fail(
            "allow_other",
            &codes::MOUNT_ALLOW_OTHER,
            format!("an instance asks for `allow_other` or `allow_root`, and {CONF} does not allow it"),
            format!("add the line `user_allow_other` to {CONF}, or take the option out"),
        ),
    }
}

/// pidfd_open came with 5.3, close_range's flag with 5.11.
const OLDEST: (u32, u32) = (5, 11);

pub fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version {
        (0, _) => Finding::info("kernel", "its version cannot be read"),
        old if old < OLDEST => Finding::warn(
            "kernel",
            format!("Linux {release}"),
            format!("`up` and `down` need Linux {}.{} or newer", OLDEST.0, OLDEST.1),
        ),
        _ => Finding::ok("kernel", format!("Linux {release}")),
    }
}

pub fn owner() -> Finding {
    let program = match owner_binary::find() {
        Ok(program) => program,
        Err(report) => {
            let failure = report.failures.into_iter().next();
            return failure
                .map_or_else(|| Finding::info("nixbox-owner", "-"), |failure| Finding::of("nixbox-owner", &failure));
        }
    };
    let mine = env!("CARGO_PKG_VERSION");
    let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    match said.rsplit(' ').next() {
        Some(theirs) if theirs == mine => Finding::ok("nixbox-owner", format!("{} ({mine})", program.display())),
        _ => Finding::fail(
            "nixbox-owner",
            &codes::OWNER_MISSING,
            format!("{} says {said:?}, this helper is {mine}", program.display()),
            "install both programs from one release",
        ),
    }
}

/// Programs that nixbox works with and does not need.
pub fn companions() -> Vec<Finding> {
    let one = |name: &&str| match on_path(name) {
        Some(program) => Finding::info(name, program.display().to_string()),
        None => Finding::info(name, "not installed (not needed)"),
    };
    ["direnv", "devenv", "nix", "process-compose"].iter().map(one).collect()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path);
    folders.map(|folder| folder.join(name)).find(|program: &PathBuf| is_program(program))
}

fn is_program(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok() && path.is_file()
}
