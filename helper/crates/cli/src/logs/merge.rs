//! Several logs as one, by time.

use std::collections::VecDeque;
use std::io;

use super::Chain;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Which of the logs.
    pub from: usize,
    /// RFC 3339 in UTC, each as long as any other: text sorts as time does.
    pub time: String,
    pub line: String,
}

impl Said {
    pub fn of(from: usize, line: String) -> Self {
        match line.split_once(' ') {
            Some((time, rest)) if time.ends_with('Z') => Self { from, time: time.to_owned(), line: rest.to_owned() },
            // Written by something else, or before there were times.
            _ => Self { from, time: String::new(), line },
        }
    }
}

/// All that is there now, from `since` on, of each log the last `tail` at most.
pub fn merged(
    chains: &mut [Chain],
    since: Option<&str>,
    tail: Option<usize>,
    mut tell: impl FnMut(Said) -> io::Result<bool>,
) -> io::Result<()> {
    let mut heads: Vec<VecDeque<Said>> = chains.iter().map(|_| VecDeque::new()).collect();
    let fits = |said: &Said| since.is_none_or(|since| said.time.as_str() >= since);
    if let Some(tail) = tail {
        // What is to be told last is known only at the end.
        for (from, chain) in chains.iter_mut().enumerate() {
            while let Some(line) = chain.next()? {
                let said = Said::of(from, line);
                if fits(&said) {
                    heads[from].push_back(said);
                }
                if heads[from].len() > tail {
                    heads[from].pop_front();
                }
            }
        }
    }
    loop {
        for (from, chain) in chains.iter_mut().enumerate().filter(|_| tail.is_none()) {
            while heads[from].is_empty() {
                let Some(line) = chain.next()? else { break };
                heads[from].extend(Some(Said::of(from, line)).filter(fits));
            }
        }
        let first =
            (0..heads.len()).filter(|&from| !heads[from].is_empty()).min_by_key(|&from| heads[from][0].time.clone());
        let Some(said) = first.and_then(|from| heads[from].pop_front()) else { return Ok(()) };
        if !tell(said)? {
            return Ok(());
        }
    }
}
