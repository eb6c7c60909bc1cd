use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

/// Whether this process may mount by the kernel's own client of NFS, or why not. Changes nothing.
pub fn can_mount_nfs() -> Result<(), &'static str> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !knows_nfs(&known) && !module_is_there() {
        return Err("this kernel has no client of NFS");
    }
    if geteuid().is_root() { Ok(()) } else { Err("only root mounts by NFS") }
}

fn knows_nfs(filesystems: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().next_back() == Some("nfs"))
}

/// The kernel loads it by itself when it is asked to mount.
fn module_is_there() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let folder = Path::new("/lib/modules").join(release.trim()).join("kernel/fs/nfs");
    ["nfs.ko", "nfs.ko.xz", "nfs.ko.zst", "nfs.ko.gz"].iter().any(|name| folder.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_serves_nfs_need_not_be_a_client_of_it() {
        assert!(knows_nfs("nodev\tsysfs\n\text4\nnodev\tnfs\nnodev\tnfs4\n"));
        assert!(!knows_nfs("nodev\tnfsd\nnodev\tnfs4\n\text4\n"));
    }
}
