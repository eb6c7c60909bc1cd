use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, Result};

pub(crate) const NAME_MAX: usize = 255;
pub(crate) const TARGET_MAX: usize = 4095;

/// A name that an entry may get.
pub(crate) fn new_name(name: &OsStr) -> Result<&str> {
    let name = known_name(name)?.ok_or(Error::Errno(libc::EILSEQ))?;
    if is_possible(name) { Ok(name) } else { Err(Error::Errno(libc::EINVAL)) }
}

/// A name that an entry may have; `None` where no entry can, as the format has none that is not UTF-8.
pub(crate) fn known_name(name: &OsStr) -> Result<Option<&str>> {
    if name.len() > NAME_MAX {
        return Err(Error::Errno(libc::ENAMETOOLONG));
    }
    Ok(name.to_str())
}

/// What the kernel accepts as one component of a path. It fails a whole listing for one name that is none.
pub(crate) fn is_possible(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.bytes().any(|byte| matches!(byte, b'/' | 0))
}

pub(crate) fn new_target(target: &OsStr) -> Result<&str> {
    match target.as_bytes() {
        [] => Err(Error::Errno(libc::ENOENT)),
        bytes if bytes.len() > TARGET_MAX => Err(Error::Errno(libc::ENAMETOOLONG)),
        bytes if bytes.contains(&0) => Err(Error::Errno(libc::EINVAL)),
        _ => target.to_str().ok_or(Error::Errno(libc::EILSEQ)),
    }
}
