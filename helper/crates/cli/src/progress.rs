//! How far something long has come, for a person at a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::Output;

const EVERY: Duration = Duration::from_millis(100);

pub struct Progress {
    doing: &'static str,
    shown: bool,
    last: Instant,
    bytes: u64,
}

impl Progress {
    pub fn new(doing: &'static str, output: &Output) -> Self {
        let shown = output.is_chatty() && std::io::stderr().is_terminal();
        Self { doing, shown, last: Instant::now(), bytes: 0 }
    }

    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.shown && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{} {}", self.doing, size(self.bytes));
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// `17 bytes`, `1.4 MiB`
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_like_speech() {
        assert_eq!(
            [0, 1023, 1536, 5 << 20, 3 << 30].map(size),
            ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 MiB", "3.0 GiB"]
        );
    }
}
