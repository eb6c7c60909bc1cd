use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use crate::patience::within;
use crate::table::MountEntry;

/// How long a healthy file system may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Answers,
    /// The process behind it is gone.
    Dead,
    /// No answer in time, or an odd one: it may be busy, so it does not count as dead.
    Stuck,
}

impl MountEntry {
    /// Asks the mount itself, in a thread that may hang in the caller's place.
    pub fn health(&self) -> Health {
        let path = self.path.clone();
        match within(PATIENCE, move || statvfs(&path).map(drop)) {
            Some(Ok(())) => Health::Answers,
            Some(Err(Errno::ENOTCONN | Errno::ECONNABORTED)) => Health::Dead,
            _ => Health::Stuck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::all;

    #[test]
    fn a_live_file_system_answers() {
        let proc = all().expect("mountinfo").into_iter().find(|m| m.path.as_os_str() == "/proc").expect("/proc");
        assert_eq!(proc.health(), Health::Answers);
        assert_eq!(proc.database(), None);
    }
}
