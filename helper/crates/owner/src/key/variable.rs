//! A key in the environment. It is wiped there when it has been read: what this process starts must not inherit it,
//! and `/proc/PID/environ` not show it.

use std::ffi::{CStr, CString};

use nixbox_report::{Failure, Report, codes};
use zeroize::{Zeroize, Zeroizing};

pub(super) fn take(name: &str) -> Result<Zeroizing<String>, Report> {
    let missing = || {
        Failure::new(&codes::KEY_MISSING, format!("the variable {name}, which holds the key, is not set"))
            .help("set it where the owner is started, or name a file with `key_file`")
            .into()
    };
    let named = CString::new(name).map_err(|_| missing())?;
    // SAFETY: nothing in this process changes the environment's layout, so the pointer stays good; the string ends
    // with a NUL and lies in memory of this process that may be written.
    let value = unsafe {
        let value = libc::getenv(named.as_ptr());
        if value.is_null() {
            return Err(missing());
        }
        let length = CStr::from_ptr(value).to_bytes().len();
        std::slice::from_raw_parts_mut(value.cast::<u8>(), length)
    };
    let mut text = Zeroizing::new(String::with_capacity(value.len()));
    text.push_str(std::str::from_utf8(value).unwrap_or("?"));
    value.zeroize();
    if text.is_empty() { Err(missing()) } else { Ok(text) }
}
