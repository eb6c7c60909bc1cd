//! The edge behind which the library may panic: upstream's releases did on a wrong key, and its assertions on what a
//! file holds do. Here a panic becomes an error.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, StoreError, StoreErrorKind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread is about to become an error: for a panic hook that would otherwise end the process.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// What was being worked on must not be used after a panic; its caller sees to that.
pub(super) fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    done.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(gave_up(said.unwrap_or("no reason given")))
    })
}

pub(super) fn gave_up(reason: &str) -> Error {
    StoreError::new(StoreErrorKind::GaveUp, format!("the store below gave up: {reason}")).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_only_behind_the_edge() {
        assert!(!is_guarded());
        let error = guard::<()>(|| panic!("page {} should be loaded", 7)).unwrap_err();
        assert!(error.to_string().ends_with("page 7 should be loaded"), "{error}");
        assert!(guard(|| Ok(is_guarded())).unwrap());
        assert!(!is_guarded());
    }
}
