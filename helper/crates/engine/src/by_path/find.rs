use super::walk::Found;
use crate::filesystem::{Kind, Time};

/// What a search is for, beside the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    pub kind: Option<Kind>,
    pub min_size: Option<u64>,
    /// Changed after.
    pub newer: Option<Time>,
}

impl Wanted {
    pub fn is(&self, found: &Found) -> bool {
        self.kind.is_none_or(|kind| kind == found.attr.kind)
            && self.min_size.is_none_or(|size| found.attr.kind == Kind::File && found.attr.size >= size)
            && self.newer.is_none_or(|newer| found.attr.mtime > newer)
    }
}
