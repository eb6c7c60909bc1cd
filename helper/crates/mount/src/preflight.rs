//! What must be so before a mount can be, each with an error of its own. Changes nothing.

use std::fs::{self, OpenOptions};

use nix::unistd::geteuid;
use nixbox_mounts::fusermount;

use crate::error::{Error, Result};
use crate::options::Access;

pub fn check(access: Access) -> Result<()> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(Error::NoFuse)?;
    if geteuid().is_root() {
        return Ok(());
    }
    if fusermount::find().is_none() {
        return Err(Error::NoFusermount);
    }
    if access != Access::Owner && !allows_other(&fs::read_to_string("/etc/fuse.conf").unwrap_or_default()) {
        return Err(Error::AllowOther);
    }
    Ok(())
}

fn allows_other(conf: &str) -> bool {
    conf.lines().any(|line| line.trim() == "user_allow_other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_allows_others() {
        assert!(allows_other("# see fuse.conf(5)\n user_allow_other \nmount_max = 10\n"));
        assert!(!allows_other("#user_allow_other\nmount_max = 10\n"));
    }
}
