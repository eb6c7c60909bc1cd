//! Who still uses a mount, so that a message can name them. Reads only names in /proc, which asks nothing of the mount.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::table::covers;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub pid: i32,
    pub command: String,
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.command, self.pid)
    }
}

/// At most `limit` processes with a file open or mapped, or their working folder, below `mount`.
pub fn users_of(mount: &Path, limit: usize) -> Vec<User> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| uses(*pid, mount))
        .take(limit)
        .map(|pid| User { pid, command: command(pid) })
        .collect()
}

fn uses(pid: i32, mount: &Path) -> bool {
    let points_inside = |link: &Path| fs::read_link(link).is_ok_and(|target| covers(mount, target.as_os_str()));
    let process = Path::new("/proc").join(pid.to_string());
    ["cwd", "root", "exe"].iter().any(|name| points_inside(&process.join(name)))
        || fs::read_dir(process.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| points_inside(&fd.path())))
        || fs::read(process.join("maps")).is_ok_and(|maps| maps_inside(&maps, mount))
}

/// A file that is mapped may be closed since. Its path is the last field, and the first that holds a slash.
fn maps_inside(maps: &[u8], mount: &Path) -> bool {
    maps.split(|byte| *byte == b'\n').any(|line| {
        let path = line.iter().position(|byte| *byte == b'/').map(|start| &line[start..]);
        path.is_some_and(|path| covers(mount, OsStr::from_bytes(path)))
    })
}

fn command(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map(|name| name.trim_end().to_owned()).unwrap_or_default()
}
