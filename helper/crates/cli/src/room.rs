//! How much room files take on the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of the blocks of a file, or of a folder with all that is in it on the same file system: what is mounted there is
/// not ours, and may not answer.
pub fn of(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    within(path, &meta, meta.dev())
}

pub fn of_all<'p>(paths: impl IntoIterator<Item = &'p Path>) -> u64 {
    paths.into_iter().map(of).sum()
}

fn within(path: &Path, meta: &fs::Metadata, dev: u64) -> u64 {
    let own = meta.blocks() * 512;
    if !meta.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let inside = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    own + inside.filter(|(_, meta)| meta.dev() == dev).map(|(path, meta)| within(&path, &meta, dev)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blocks_count_and_not_lengths() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/full"), vec![1; 1 << 20]).unwrap();
        let room = of(dir.path());
        assert!(((1 << 20)..(2 << 20)).contains(&room), "{room}");
        assert_eq!(of(&dir.path().join("missing")), 0);
    }
}
