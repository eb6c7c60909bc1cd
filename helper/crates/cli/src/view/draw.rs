//! The picture: a heading, a row for each, what the chosen one has said, and which keys there are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use nixbox_config::Project;

use super::screen::Size;
use crate::output::{harmless, span};
use crate::presence::now;
use crate::supervise::{Health, State, UnitStatus};
use crate::usage::Usage;

pub struct Picture<'p> {
    project: &'p Project,
    leave: &'p str,
    chosen: usize,
    /// Whether what the chosen one has said is shown.
    pub logs: bool,
    /// What went wrong with the last order.
    pub said: Option<String>,
    mounted: HashMap<String, bool>,
}

/// So much of a log's end is looked at.
const TAIL: u64 = 64 * 1024;
const HEADING: [&str; 8] = ["NAME", "STATE", "FOR", "RESTARTS", "CPU", "MEMORY", "MOUNT", "LAST LINE"];

impl<'p> Picture<'p> {
    pub fn new(project: &'p Project, leave: &'p str) -> Self {
        Self { project, leave, chosen: 0, logs: false, said: None, mounted: HashMap::new() }
    }

    pub fn project(&self) -> &'p Project {
        self.project
    }

    pub fn step(&mut self, by: isize, count: usize) {
        self.chosen = self.chosen.saturating_add_signed(by).min(count.saturating_sub(1));
    }

    pub fn chosen(&self, units: &[UnitStatus]) -> Option<String> {
        units.get(self.chosen).map(|unit| unit.name.clone())
    }

    /// Looked up now and then: told by the kernel without touching what may be dead.
    pub fn mounts(&mut self) {
        let points = self.project.instances.values().filter_map(|one| Some((one.name.clone(), one.mount.as_ref()?)));
        self.mounted = points
            .map(|(name, mount)| (name, crate::mounts::agentfs_at(&mount.path).is_ok_and(|found| found.is_some())))
            .collect();
    }

    pub fn draw(&self, units: &[UnitStatus], usage: &Usage, size: Size) -> String {
        let rows: Vec<_> = units.iter().map(|unit| self.row(unit, usage)).collect();
        let widths = widths(&HEADING, &rows);
        let mut lines = vec![self.summary(units), String::new()];
        lines.push(format!("\x1b[2m{}\x1b[0m", cut(&aligned(&HEADING.map(str::to_owned), &widths), size.columns)));
        for (at, (row, unit)) in rows.iter().zip(units).enumerate() {
            let text = cut(&aligned(row, &widths), size.columns);
            lines.push(painted(&text, unit, at == self.chosen));
        }
        let keys = format!("↑↓ choose  l logs  r restart  s stop  q {}", self.leave);
        let room = size.rows.saturating_sub(lines.len() + 3);
        if let (true, Some(unit), 1..) = (self.logs, units.get(self.chosen), room) {
            lines.push(String::new());
            let said = self.log_of(&unit.name).map(|path| last_lines(&path, room)).unwrap_or_default();
            lines.extend(said.iter().map(|line| cut(&harmless(line), size.columns)));
        }
        lines.truncate(size.rows.saturating_sub(2));
        lines.resize(size.rows.saturating_sub(1), String::new());
        lines.push(format!("\x1b[2m{}\x1b[0m", cut(self.said.as_deref().unwrap_or(&keys), size.columns)));
        // Over what is there, each line to its end: without a moment in which there is nothing.
        format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
    }

    fn summary(&self, units: &[UnitStatus]) -> String {
        let count = |wanted: fn(&UnitStatus) -> bool| units.iter().filter(|unit| wanted(unit)).count();
        let ready = count(|unit| unit.state == State::Ready);
        let coming = count(|unit| unit.state.is_coming());
        let failed = count(|unit| unit.state == State::Failed);
        let mut text = format!("\x1b[1m{}\x1b[0m  {ready} of {} up", self.project.root.display(), units.len());
        if coming > 0 {
            text += &format!(", {coming} on the way");
        }
        if failed > 0 {
            text += &format!(", {failed} failed");
        }
        text
    }

    fn row(&self, unit: &UnitStatus, usage: &Usage) -> [String; 8] {
        let dash = || "-".to_owned();
        let state = match (unit.state, unit.health) {
            _ if unit.paused => "paused".to_owned(),
            (State::Ready, Some(Health::Unhealthy)) => "unhealthy".to_owned(),
            (State::BackingOff, _) => "waiting to restart".to_owned(),
            (state, _) => state.word().to_owned(),
        };
        let since = unit.since.filter(|_| unit.pid.is_some());
        let taken = usage.of(&unit.name);
        let mount = match self.mounted.get(&unit.name) {
            Some(true) => "mounted".to_owned(),
            Some(false) => "not mounted".to_owned(),
            None => dash(),
        };
        let last = self.log_of(&unit.name).and_then(|path| last_lines(&path, 1).pop());
        [
            unit.name.clone(),
            state,
            since.map_or_else(dash, |since| span(now().saturating_sub(since) / 1000)),
            unit.restarts.to_string(),
            taken.map_or_else(dash, |taken| format!("{:.1} %", taken.cpu)),
            taken.map_or_else(dash, |taken| format!("{:.1} MiB", taken.memory as f64 / f64::from(1 << 20))),
            mount,
            harmless(&unit.why.clone().or(last).unwrap_or_default()),
        ]
    }

    fn log_of(&self, name: &str) -> Option<PathBuf> {
        // Also of those that have come since with a new configuration.
        Some(self.project.runtime_dir.join(format!("{name}.log")))
    }
}

/// Of all columns but the last, which has what is left.
pub(super) fn widths<const N: usize>(heading: &[&str; N], rows: &[[String; N]]) -> Vec<usize> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([heading[at].chars().count()]).max();
    (0..N - 1).filter_map(width).collect()
}

pub(super) fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text += &format!("{cell:<width$}  ");
    }
    text + &cells[cells.len() - 1]
}

fn painted(text: &str, unit: &UnitStatus, is_chosen: bool) -> String {
    let colour = match unit.state {
        State::Ready if unit.health == Some(Health::Unhealthy) => "31",
        State::Ready => "32",
        State::Failed => "31",
        State::Waiting | State::Starting | State::Resting | State::Stopping | State::BackingOff => "33",
        State::Idle | State::Stopped | State::Completed => "2",
    };
    let chosen = if is_chosen { "\x1b[7m" } else { "" };
    match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => format!("{chosen}{text}\x1b[0m"),
        false => format!("\x1b[{colour}m{chosen}{text}\x1b[0m"),
    }
}

pub(super) fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}

/// Without the times that they are kept with.
fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let plain = |line: &str| line.split_once("Z ").map_or(line, |(_, rest)| rest).to_owned();
    let mut lines: Vec<_> = text.lines().rev().take(count).map(plain).collect();
    lines.reverse();
    lines
}
