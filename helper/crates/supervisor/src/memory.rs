//! What a process that will wait for long gives back.

use std::fs;

use nix::libc;

/// Free heap, and pages of programs and libraries that nobody has written to: most were needed to come this far, and the
/// kernel puts back what is needed again. So the memory of whoever only waits is seen to be what waiting takes.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes nothing that is in use.
    unsafe {
        libc::malloc_trim(0)
    };
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let (mut range, mut is_file) = (None, false);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), second) = (words.next(), words.next()) else { continue };
        if let Some((from, to)) = first.split_once('-') {
            let number = |hex: &str| usize::from_str_radix(hex, 16).ok();
            range = number(from).zip(number(to));
            let is_read_only = second.is_some_and(|may| may.as_bytes().get(1) == Some(&b'-'));
            is_file = is_read_only && words.nth(3).is_some_and(|path| path.starts_with('/'));
        } else if let ("Anonymous:", Some("0"), true, Some((from, to))) = (first, second, is_file, range) {
            // SAFETY: it is a mapping of ours that nobody can write to, and that holds nothing but what is in its file.
            unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident() -> u64 {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssFile:"));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
    }

    #[test]
    fn what_was_needed_once_is_given_back_and_all_goes_on() {
        let before = resident();
        give_back();
        let after = resident();
        assert!(before > 0 && after < before, "{before} {after}");
        assert_eq!(format!("{:?}", "still here"), "\"still here\"");
    }
}
