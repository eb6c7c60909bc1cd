//! What a person or a program sees. Data goes to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use nixbox_report::{Failure, Report, codes};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
    quiet: bool,
    colour: bool,
    colour_errors: bool,
}

/// Every `--json` answer: the version of its shape, then the answer.
#[derive(Serialize, JsonSchema)]
pub struct Versioned<T> {
    /// Version of this shape; it changes when a field changes its meaning or goes away
    pub schema: u32,
    #[serde(flatten)]
    pub answer: T,
}

pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Odd,
    Dim,
    Strong,
}

impl Output {
    pub fn new(json: bool, quiet: bool, color: Color) -> Self {
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            json,
            quiet,
            colour: wanted(io::stdout().is_terminal()),
            colour_errors: wanted(io::stderr().is_terminal()),
        }
    }

    /// Data, as it is.
    pub fn data(&self, text: impl AsRef<[u8]>) -> Result<(), Report> {
        self.open_data(text).map(drop)
    }

    /// Data of which there may be more. False when whoever read us has seen enough.
    pub fn open_data(&self, text: impl AsRef<[u8]>) -> Result<bool, Report> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
            // Whoever read us has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => done.map(|()| true).map_err(|error| {
                Failure::new(&codes::IO, "the standard output cannot be written")
                    .why(error)
                    .help("see where it was sent to: what is there now is not whole")
                    .into()
            }),
        }
    }

    pub fn json<T: Serialize>(&self, answer: T) -> Result<(), Report> {
        let mut text = serde_json::to_string_pretty(&Versioned { schema: SCHEMA, answer }).map_err(io::Error::other)?;
        text.push('\n');
        self.data(text)
    }

    /// What a person wants to know and no program reads.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            self.stderr(text.as_ref());
        }
    }

    /// Whether a person is told what happens on the way.
    pub fn is_chatty(&self) -> bool {
        !self.quiet && !self.json
    }

    /// What has to be said also with `--quiet`.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.json {
            let text = text.as_ref();
            self.stderr(&format!("{} {text}", paint(self.colour_errors, Tone::Odd, "warning:")));
        }
    }

    pub fn report(&self, report: &Report) {
        let text = match self.json {
            true => nixbox_report::json(report).to_string() + "\n",
            false => nixbox_report::text(report, self.colour_errors),
        };
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// For text that goes to standard output.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colour, tone, text)
    }

    /// Whether what goes to standard output is painted.
    pub fn coloured(&self) -> bool {
        self.colour
    }

    /// The same for what may not be text.
    pub fn paint_bytes(&self, tone: Tone, bytes: &[u8]) -> Vec<u8> {
        let around = paint(self.colour, tone, "\0");
        let (before, after) = around.split_once('\0').unwrap_or_default();
        [before.as_bytes(), bytes, after.as_bytes()].concat()
    }

    /// For text that goes to standard error.
    pub fn paint_note(&self, tone: Tone, text: &str) -> String {
        paint(self.colour_errors, tone, text)
    }

    /// A heading and rows below it. The cells of one column may be coloured: width is counted without that.
    pub fn table(&self, heading: &[&str], rows: Vec<Vec<Cell>>) -> Result<(), Report> {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(heading.iter().copied());
        for row in &rows {
            table.add_row(row.iter().map(|cell| cell.text.as_str()));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().collect();
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let line = line.trim_end();
            match number {
                0 => text += &self.paint(Tone::Dim, line),
                n => text += &self.colour_cells(line, rows.get(n - 1)),
            }
            text.push('\n');
        }
        self.data(text)
    }

    /// Cell after cell, each looked for behind the last: a name may be the same word as a state.
    fn colour_cells(&self, line: &str, row: Option<&Vec<Cell>>) -> String {
        let (mut out, mut rest) = (String::new(), line);
        for cell in row.into_iter().flatten().filter(|cell| !cell.text.is_empty()) {
            let Some((before, after)) = rest.split_once(&cell.text) else { break };
            out += before;
            out += &cell.tone.map_or_else(|| cell.text.clone(), |tone| self.paint(tone, &cell.text));
            rest = after;
        }
        out + rest
    }

    fn stderr(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { tone: Some(tone), ..text.into().into() }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: harmless(&text.into()), tone: None }
    }
}

/// Names, keys and what programs had to say may hold what would move a terminal's cursor.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn paint(colour: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Odd => "33",
        Tone::Dim => "2",
        Tone::Strong => "1",
    };
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// `42 s`, `3 min 5 s`, `2 h 4 min`, `5 d 1 h`
pub fn span(seconds: u64) -> String {
    match seconds {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s @ 3600..86400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86400, s % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_speech() {
        let said: Vec<_> = [0, 59, 60, 3599, 3600, 86399, 90000].map(span).to_vec();
        assert_eq!(said, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 1 h"]);
    }
}
