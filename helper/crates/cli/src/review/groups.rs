//! A folder that came, went or moved as a whole is one line for who reviews it, whatever is in it.

use std::path::Path;

use nixbox_control::{Change, ChangeKind};
use nixbox_report::Report;

use super::shown::{is_folder, line, size};
use crate::output::Output;

pub struct Groups<'a> {
    output: &'a Output,
    open: Option<Group>,
}

struct Group {
    folder: Change,
    files: u64,
    bytes: u64,
}

impl<'a> Groups<'a> {
    pub fn new(output: &'a Output) -> Self {
        Self { output, open: None }
    }

    /// False when whoever reads has seen enough.
    pub fn put(&mut self, change: Change) -> Result<bool, Report> {
        if let Some(group) = &mut self.open {
            if group.takes(&change) {
                group.files += u64::from(!is_folder(&change));
                group.bytes += change.after.or(change.before).map_or(0, |side| side.size);
                return Ok(true);
            }
            if !below(&change.path, &group.folder.path) && !self.end()? {
                return Ok(false);
            }
        }
        let as_a_whole = matches!(change.kind, ChangeKind::Added | ChangeKind::Deleted | ChangeKind::Renamed);
        if self.open.is_none() && as_a_whole && is_folder(&change) && !change.mode {
            self.open = Some(Group { folder: change, files: 0, bytes: 0 });
            return Ok(true);
        }
        self.output.open_data(line(&change, None, self.output))
    }

    /// What is still to be said.
    pub fn end(&mut self) -> Result<bool, Report> {
        let Some(Group { folder, files, bytes }) = self.open.take() else { return Ok(true) };
        let remark = match files {
            0 => "no files".to_owned(),
            1 => format!("1 file, {}", size(bytes)),
            files => format!("{files} files, {}", size(bytes)),
        };
        self.output.open_data(line(&folder, Some(&remark), self.output))
    }
}

impl Group {
    fn takes(&self, change: &Change) -> bool {
        let moved_along = match (&self.folder.from, &change.from) {
            (Some(from), Some(of)) => below(of, from),
            (None, None) => true,
            _ => false,
        };
        let same = change.kind == self.folder.kind && !change.mode && !change.diverged;
        same && moved_along && below(&change.path, &self.folder.path)
    }
}

fn below(path: &nixbox_control::Name, folder: &nixbox_control::Name) -> bool {
    Path::new(path.as_os_str()).starts_with(Path::new(folder.as_os_str()))
}
