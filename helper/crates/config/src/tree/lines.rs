use std::ops::Range;

/// Where lines begin, for turning offsets into line numbers.
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub fn of(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(after).collect() }
    }

    /// Counted from 1.
    pub fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    /// Of a span that may begin at the end of the file: the last line that has something on it.
    pub fn of_span(&self, span: &Range<usize>, text: &str) -> usize {
        let end = text.trim_end().len();
        self.at(span.start.min(end.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_end_with_their_newline() {
        let lines = Lines::of("a\nbc\n");
        assert_eq!([0, 1, 2, 4, 5].map(|at| lines.at(at)), [1, 1, 2, 2, 3]);
        assert_eq!(lines.of_span(&(5..5), "a\nbc\n"), 2);
    }
}
