//! What takes most, on a terminal: a row for each, sorted, drawn anew once a second, and keys.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use nixbox_config::Project;
use nixbox_report::Report;

use super::draw::{aligned, cut, widths};
use super::screen::{Screen, Size};
use crate::supervise::{Follow, Heard};
use crate::usage::Usage;
use crate::verbs::stats::{BETWEEN, HEADING, Row, rows};

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    #[default]
    Cpu,
    Memory,
    Operations,
    Read,
    Written,
    Name,
}

impl Sort {
    pub fn apply(self, rows: &mut [Row]) {
        let files = |row: &Row, of: fn(&crate::verbs::stats::Files) -> f64| row.files.as_ref().map_or(-1.0, of);
        let weight = |row: &Row| match self {
            Self::Cpu => row.cpu_percent,
            Self::Memory => row.memory_bytes as f64,
            Self::Operations => files(row, |files| files.operations_per_second),
            Self::Read => files(row, |files| files.read_bytes_per_second),
            Self::Written => files(row, |files| files.written_bytes_per_second),
            Self::Name => 0.0,
        };
        // Those that are alike stay in the order of their names.
        rows.sort_by(|one, other| weight(other).total_cmp(&weight(one)).then_with(|| one.name.cmp(&other.name)));
    }

    fn of(key: u8) -> Option<Self> {
        Some(match key {
            b'c' => Self::Cpu,
            b'm' => Self::Memory,
            b'o' => Self::Operations,
            b'r' => Self::Read,
            b'w' => Self::Written,
            b'n' => Self::Name,
            _ => return None,
        })
    }

    fn column(self) -> usize {
        match self {
            Self::Name => 0,
            Self::Cpu => 3,
            Self::Memory => 4,
            Self::Operations => 5,
            Self::Read => 6,
            Self::Written => 7,
        }
    }
}

/// Until it is left, or nothing is kept up any more.
pub fn top(follow: &mut Follow, names: &[String], mut order: Sort, project: &Project) -> Result<(), Report> {
    let screen = Screen::begin()?;
    let mut usage = Usage::default();
    let mut tick = Instant::now();
    loop {
        if tick <= Instant::now() {
            usage.look_into(&follow.units, project);
            tick = Instant::now() + BETWEEN;
        }
        let mut rows = rows(&follow.units, names, &usage);
        order.apply(&mut rows);
        screen.show(&draw(&rows, order, screen.size()))?;
        match follow.next(Some(tick), Some(io::stdin().as_fd()))? {
            Heard::Over => return Ok(()),
            Heard::Also => {
                let mut typed = [0; 64];
                let length = nix::unistd::read(io::stdin().as_fd(), &mut typed).map_err(io::Error::from)?;
                // Typed, Ctrl-C is no signal while keys come one by one.
                if length == 0 || typed[..length].iter().any(|key| matches!(key, b'q' | b'\x03')) {
                    return Ok(());
                }
                order = typed[..length].iter().filter_map(|key| Sort::of(*key)).next_back().unwrap_or(order);
            }
            Heard::Changed(_) | Heard::Said(_) | Heard::Deadline => {}
        }
    }
}

fn draw(rows: &[Row], order: Sort, size: Size) -> String {
    let mut heading = HEADING;
    let marked = format!("{}▾", heading[order.column()]);
    heading[order.column()] = &marked;
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let widths = widths(&heading, &cells);
    let dim = |text: &str| format!("\x1b[2m{}\x1b[0m", cut(text, size.columns));
    let mut lines = vec![dim(&aligned(&heading.map(str::to_owned), &widths))];
    lines.extend(cells.iter().map(|row| cut(&aligned(row, &widths), size.columns)));
    lines.truncate(size.rows.saturating_sub(1));
    lines.resize(size.rows.saturating_sub(1), String::new());
    lines.push(dim("sort by  c processors  m memory  o operations  r read  w written  n name    q leave"));
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cpu_percent: f64, memory_bytes: u64) -> Row {
        Row {
            name: name.into(),
            pid: 1,
            processes: 1,
            cpu_percent,
            memory_bytes,
            pids: None,
            limits: None,
            files: None,
        }
    }

    #[test]
    fn what_takes_most_comes_first_and_what_takes_the_same_by_name() {
        let mut rows = [row("b", 1.0, 9), row("a", 1.0, 7), row("c", 5.0, 8)];
        let mut sorted = |order: Sort| {
            order.apply(&mut rows);
            rows.iter().map(|row| row.name.clone()).collect::<String>()
        };
        assert_eq!([Sort::Cpu, Sort::Memory, Sort::Read, Sort::Name].map(&mut sorted), ["cab", "bca", "abc", "abc"]);
        let text = draw(&rows, Sort::Memory, Size { rows: 4, columns: 40 });
        assert!(text.contains("MEMORY▾") && !text.contains("c       "), "{text}");
    }
}
