use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Patience is counted in parts: a machine that stands still for seconds uses up one of them, and who is asked has the
/// rest to answer.
const PARTS: u32 = 10;

/// The answer, if it comes in time. What does not come keeps hanging in a thread of its own, which ends with the
/// process: `connect` to a stopped owner and any call into a wedged mount have no deadline themselves.
pub fn within<T: Send + 'static>(time: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::channel();
    // The stack of a few calls, not of a program.
    let thread = thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let _ = answer.send(ask());
    });
    thread.ok()?;
    let mut answers = (0..PARTS).map(|_| answered.recv_timeout(time / PARTS));
    answers.find(|answer| !matches!(answer, Err(RecvTimeoutError::Timeout)))?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_time_or_not_at_all() {
        assert_eq!(within(Duration::from_secs(10), || 7), Some(7));
        assert_eq!(within(Duration::from_millis(10), || thread::sleep(Duration::from_secs(60))), None);
    }
}
