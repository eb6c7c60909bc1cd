//! Two texts, line by line. A line ends with `\n` and with nothing else, as git has it: what takes a lone carriage
//! return for an end makes patches that do not apply.

use std::time::{Duration, Instant};

use similar::udiff::UnifiedHunkHeader;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};

/// Lines around a change.
const CONTEXT: usize = 3;
/// After this the rest is told as taken away and put back: still right, and not the shortest way to say it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where git looks for what no text has.
const HEAD: usize = 8000;

pub(super) struct Lines<'a> {
    old: Vec<&'a [u8]>,
    new: Vec<&'a [u8]>,
    ops: Vec<DiffOp>,
}

pub(super) fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(HEAD)].contains(&0)
}

impl<'a> Lines<'a> {
    pub fn compare(old: &'a [u8], new: &'a [u8]) -> Self {
        let (old, new) = (lines(old), lines(new));
        let ops = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(Instant::now() + PATIENCE));
        Self { old, new, ops }
    }

    /// How many came and went.
    pub fn counts(&self) -> (u64, u64) {
        self.ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. })).fold((0, 0), |(added, removed), op| {
            (added + op.new_range().len() as u64, removed + op.old_range().len() as u64)
        })
    }

    pub fn unified(self, patch: &mut Vec<u8>) {
        let Self { old, new, ops } = self;
        for hunk in group_diff_ops(ops, CONTEXT) {
            patch.extend_from_slice(format!("{}\n", UnifiedHunkHeader::new(&hunk)).as_bytes());
            for op in hunk {
                if let DiffOp::Equal { .. } = op {
                    old[op.old_range()].iter().for_each(|line| put(patch, b' ', line));
                    continue;
                }
                old[op.old_range()].iter().for_each(|line| put(patch, b'-', line));
                new[op.new_range()].iter().for_each(|line| put(patch, b'+', line));
            }
        }
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn put(patch: &mut Vec<u8>, sign: u8, line: &[u8]) {
    patch.push(sign);
    patch.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        patch.extend_from_slice(b"\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unified(old: &str, new: &str) -> String {
        let mut patch = Vec::new();
        Lines::compare(old.as_bytes(), new.as_bytes()).unified(&mut patch);
        String::from_utf8_lossy(&patch).into_owned()
    }

    #[test]
    fn hunks_are_as_git_writes_them() {
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
        let end = "\\ No newline at end of file\n";
        assert_eq!(unified("a\nb", "a\nc"), format!("@@ -1,2 +1,2 @@\n a\n-b\n{end}+c\n{end}"));
        assert_eq!(unified("a\rb\n", "a\rc\n"), "@@ -1 +1 @@\n-a\rb\n+a\rc\n");
    }

    #[test]
    fn lines_that_come_and_go_are_counted() {
        assert_eq!(Lines::compare(b"a\nb\nc\n", b"a\nx\ny\nc\n").counts(), (2, 1));
        assert_eq!(Lines::compare(b"a\n", b"a\n").counts(), (0, 0));
    }
}
