//! A database of another program as the beginning of an instance: a copy of it, whole, in one file, and encrypted where
//! the instance is.

use std::fs;
use std::path::Path;

use super::{backup, kept_in, look_at_present};
use crate::error::Result;
use crate::rekey::rekey;
use crate::store::{self, Backing, wal_path};

/// `from` is left as it is; nobody has it open. Where it is encrypted, it is so with the key of `backing`. `to` is not there yet, and is there whole or not at all.
pub fn adopt(from: &Path, to: &Path, backing: &Backing) -> Result<()> {
    let kept = kept_in(from, backing)?;
    let looked = look_at_present(from, kept)?;
    let from = looked.path.clone();
    // Before the copying closes a descriptor of the file.
    drop(looked);
    let mut beside = to.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = Path::new(&beside);
    let adopted = backup::make(&from, beside).and_then(|_| {
        // Folds the log in.
        store::visit(beside, kept)?.stay()?.close()?;
        if kept.encryption() != backing.encryption() {
            rekey(beside, kept, backing)?;
        }
        fs::hard_link(beside, to)?;
        backup::sync_folder(to)?;
        Ok(())
    });
    for left in [beside, &wal_path(beside)] {
        let _ = fs::remove_file(left);
    }
    adopted
}
