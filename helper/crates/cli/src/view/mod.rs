//! What `up` keeps up, on a terminal: a row for each, drawn anew when something changes and once a second, and keys.

mod draw;
mod screen;
mod top;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nixbox_config::Project;
use nixbox_report::Report;

use self::draw::Picture;
use self::screen::Screen;
use crate::output::Output;
use crate::supervise::{Client, Follow, Heard, Order};
use crate::usage::Usage;

pub use self::top::{Sort, top};

/// Processors and memory are looked up this often.
const TICK: Duration = Duration::from_secs(1);

/// Why it is no longer shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Somebody wants to see something else.
    Asked,
    /// Ctrl-C.
    Interrupted,
    /// There is nothing left to show.
    Over,
}

/// Whether there is a person before a screen that can be drawn on.
pub fn is_possible(output: &Output) -> bool {
    output.is_chatty() && screen::is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Until it is left or over. `leave` is what the key to leave it is said to do.
pub fn show(client: &Client, follow: &mut Follow, project: &Project, leave: &str) -> Result<Left, Report> {
    let screen = Screen::begin()?;
    let mut view = View { picture: Picture::new(project, leave), usage: Usage::default(), tick: Instant::now() };
    let left = view.attend(client, follow, &screen);
    drop(screen);
    left
}

struct View<'p> {
    picture: Picture<'p>,
    usage: Usage,
    tick: Instant,
}

impl View<'_> {
    fn attend(&mut self, client: &Client, follow: &mut Follow, screen: &Screen) -> Result<Left, Report> {
        loop {
            if self.tick <= Instant::now() {
                self.usage.look(&follow.units, self.picture.project());
                self.picture.mounts();
                self.tick = Instant::now() + TICK;
            }
            let text = self.picture.draw(&follow.units, &self.usage, screen.size());
            screen.show(&text)?;
            match follow.next(Some(self.tick), Some(io::stdin().as_fd()))? {
                Heard::Over => return Ok(Left::Over),
                Heard::Also => {
                    if let Some(left) = self.keys(client, follow)? {
                        return Ok(left);
                    }
                }
                Heard::Said(text) => self.picture.said = Some(text).filter(|text| !text.is_empty()),
                Heard::Changed(_) | Heard::Deadline => {}
            }
        }
    }

    fn keys(&mut self, client: &Client, follow: &mut Follow) -> Result<Option<Left>, Report> {
        let mut typed = [0; 64];
        // Past the buffer of `Stdin`, which would keep from `poll` what it has read ahead.
        let length = nix::unistd::read(io::stdin().as_fd(), &mut typed).map_err(io::Error::from)?;
        if length == 0 {
            return Ok(Some(Left::Asked));
        }
        // An arrow is one key that comes as three bytes.
        let mut rest = &typed[..length];
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let chosen = self.picture.chosen(&follow.units);
            let order = match first {
                b'\x1b' if rest.starts_with(b"[A") || rest.starts_with(b"[B") => {
                    self.picture.step(if rest[1] == b'A' { -1 } else { 1 }, follow.units.len());
                    rest = &rest[2..];
                    continue;
                }
                b'k' => {
                    self.picture.step(-1, follow.units.len());
                    continue;
                }
                b'j' => {
                    self.picture.step(1, follow.units.len());
                    continue;
                }
                b'l' | b'\r' => {
                    self.picture.logs = !self.picture.logs;
                    continue;
                }
                b'q' => return Ok(Some(Left::Asked)),
                // Typed, it is no signal while keys come one by one.
                b'\x03' => return Ok(Some(Left::Interrupted)),
                b'r' => chosen.map(|name| Order::Restart { names: vec![name], grace_ms: None }),
                b's' => chosen.map(|name| Order::Stop { names: vec![name], grace_ms: None }),
                _ => None,
            };
            if let Some(order) = order {
                // Said at the bottom, and not in the middle of the picture.
                self.picture.said = match client.order(&order, follow) {
                    Ok(_) => None,
                    Err(report) => report.failures.first().map(|failure| failure.what.clone()),
                };
            }
        }
        Ok(None)
    }
}
