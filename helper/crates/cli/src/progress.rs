//! How far something long has come, for a person at a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// What there is to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// How much has been done, and no more.
    Done,
    Things,
    Bytes,
}

pub struct Progress {
    bar: ProgressBar,
    doing: &'static str,
    known: Known,
    bytes: u64,
}

impl Progress {
    pub fn new(doing: &'static str, output: &Output) -> Self {
        let bar = match output.is_chatty() && stderr().is_terminal() {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        bar.set_message(doing);
        bar.set_style(style(Known::Done));
        Self { bar, doing, known: Known::Done, bytes: 0 }
    }

    /// Of something of which nobody knows how much there is.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.bar.set_position(self.bytes);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So much of so much, in things and in bytes; what is not known is 0.
    pub fn reach(&mut self, doing: &'static str, things: (u64, u64), bytes: (u64, u64)) {
        let (known, (done, of)) = match (things, bytes) {
            (_, (done, of)) if of > 0 && done > 0 => (Known::Bytes, (done, of)),
            ((done, of), _) if of > 0 => (Known::Things, (done, of)),
            // It goes as one.
            (_, (0, of)) if of > 0 => (Known::Done, (of, of)),
            ((done, _), _) => (Known::Things, (done, done)),
        };
        if (doing, known) != (self.doing, self.known) {
            (self.doing, self.known) = (doing, known);
            self.bar.reset();
            self.bar.set_message(doing);
            self.bar.set_style(style(known));
        }
        self.bar.set_length(of.max(done));
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(known: Known) -> ProgressStyle {
    let template = match known {
        Known::Done => "{msg} {bytes}",
        Known::Things => "{msg} {bar:24} {pos}/{len}",
        Known::Bytes => "{msg} {bar:24} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
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
