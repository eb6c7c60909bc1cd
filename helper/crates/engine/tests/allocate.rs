//! Room set aside and stretches made zeroes: what is read, what is stored, what is counted, and what is refused.
#![allow(clippy::unwrap_used)]

mod support;

use nixbox_engine::*;
use proptest::prelude::*;
use support::*;

const MIB: u64 = 1 << 20;

const GROW: Allocate = Allocate::Reserve { keep_size: false };
const KEEP: Allocate = Allocate::Reserve { keep_size: true };
const PUNCH: Allocate = Allocate::Zero { keep_size: true };
const ZERO: Allocate = Allocate::Zero { keep_size: false };

fn content(files: &dyn FileSystem, ino: Ino) -> Vec<u8> {
    files.read(ino, 0, u32::MAX).unwrap()
}

/// Room in bytes that the database has for a file's content.
fn stored(scratch: &Scratch) -> u64 {
    let sql = "SELECT coalesce(sum(length(data)), 0) FROM fs_data";
    scratch.sql().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

#[test]
fn a_hole_takes_no_room_until_the_file_is_closed() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    files.open(ino).unwrap();
    let mut expected = pattern(8 * MIB as usize, 1);
    files.write(ino, 0, &expected).unwrap();
    let full = files.blocks(&files.getattr(ino).unwrap());
    assert_eq!(full, 8 * MIB / 512);
    files.allocate(ino, 1000, 6 * MIB, PUNCH).unwrap();
    expected[1000..1000 + 6 * MIB as usize].fill(0);
    let holed = files.blocks(&files.getattr(ino).unwrap());
    assert!(holed * 512 >= 2 * MIB && holed * 512 <= 2 * MIB + 64 * 1024, "{holed}");
    assert!(content(&*files, ino) == expected);
    files.release(ino);
    drop(files);
    let files = scratch.reopen();
    assert!(content(&*files, ino) == expected);
    assert_eq!(files.blocks(&files.getattr(ino).unwrap()), full);
    drop(files);
    scratch.close();
    // As upstream's SDKs read it, which join the chunks.
    assert_eq!(stored(&scratch), 8 * MIB);
}

/// As Linux has it, whose own file systems count each of them as a change.
#[test]
fn each_is_a_change_also_where_there_is_nothing_to_do() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    let ways = [(GROW, 1, 3), (KEEP, 0, 2), (PUNCH, 0, 1), (PUNCH, 5, 1), (PUNCH, 100, 7), (ZERO, 1, 1), (ZERO, 4, 9)];
    for (how, offset, length) in ways {
        files
            .setattr(
                ino,
                AttrChange {
                    size: Some(5),
                    mtime: Some(TimeChange::At(Time { sec: 1, nsec: 0 })),
                    ..AttrChange::default()
                },
            )
            .unwrap();
        files.allocate(ino, offset, length, how).unwrap();
        let attr = files.getattr(ino).unwrap();
        assert!(attr.mtime.sec > 1 && attr.mtime == attr.ctime, "{how:?} {offset} {length}");
    }
}

#[test]
fn a_very_large_hole_is_kept() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    files.allocate(ino, 0, 1 << 30, GROW).unwrap();
    files.write(ino, 500 * MIB, &pattern(MIB as usize, 1)).unwrap();
    drop(files);
    let files = scratch.reopen();
    let attr = files.getattr(ino).unwrap();
    assert_eq!(attr.size, 1 << 30);
    assert!(files.blocks(&attr) * 512 <= 2 * MIB);
    assert!(files.read(ino, 500 * MIB, MIB as u32).unwrap() == pattern(MIB as usize, 1));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let scratch = Scratch::with_options(Options { limits: Limits { size: Some(4 * MIB), files: None }, ..options() });
    let files = scratch.files();
    let ino = file(&*files, ROOT, "a");
    files.write(ino, 0, b"abc").unwrap();
    let free = || files.statfs().unwrap().blocks_free;
    let before = free();
    refused(files.allocate(ino, 0, 4 * MIB + 1, GROW), libc::ENOSPC);
    refused(files.allocate(ino, 4 * MIB, 1, ZERO), libc::ENOSPC);
    refused(files.allocate(ino, 1, 4 * MIB, ZERO), libc::ENOSPC);
    refused(files.allocate(ino, 0, 4, KEEP), libc::EOPNOTSUPP);
    for (offset, length) in [(0, i64::MAX as u64), (1 << 62, 1 << 61), (u64::MAX - 1, 5)] {
        refused(files.allocate(ino, offset, length, GROW), libc::ENOSPC);
        refused(files.allocate(ino, offset, length, ZERO), libc::ENOSPC);
    }
    files.allocate(ino, 4, i64::MAX as u64 - 4, PUNCH).unwrap();
    refused(files.allocate(ino, 4, u64::MAX, PUNCH), libc::EFBIG);
    refused(files.allocate(ROOT, 0, 1, GROW), libc::EISDIR);
    assert_eq!((content(&*files, ino), free()), (b"abc".to_vec(), before));
    files.allocate(ino, 0, 3, KEEP).unwrap();
    files.allocate(ino, 1, 1, PUNCH).unwrap();
    assert_eq!(content(&*files, ino), b"a\0c");
    files.allocate(ino, 0, 4 * MIB, GROW).unwrap();
    assert_eq!(free(), 0);
    // It was promised.
    files.write(ino, 3 * MIB, &pattern(MIB as usize, 2)).unwrap();
}

#[test]
fn a_file_of_the_base_is_copied_up_for_it() {
    let base = tempfile::tempdir().unwrap();
    let mut expected = pattern(3 * MIB as usize, 1);
    std::fs::write(base.path().join("a"), &expected).unwrap();
    let scratch = Scratch::over(base.path());
    let tree = scratch.tree();
    let ino = tree.lookup(ROOT, name("a")).unwrap().ino;
    tree.allocate(ino, MIB / 2, 2 * MIB, ZERO).unwrap();
    expected[MIB as usize / 2..5 * MIB as usize / 2].fill(0);
    assert!(content(&*tree, ino) == expected);
    assert!(std::fs::read(base.path().join("a")).unwrap() == pattern(3 * MIB as usize, 1));
}

#[derive(Debug, Clone)]
enum Call {
    Allocate(u64, u64, Allocate),
    Write(u64, usize),
    Cut(u64),
    Reopen,
}

fn call() -> impl Strategy<Value = Call> {
    let at = || prop_oneof![0..200_u64, 0..3 * MIB];
    let how = prop::sample::select(vec![GROW, PUNCH, ZERO]);
    prop_oneof![
        5 => (at(), 1..3 * MIB, how).prop_map(|(at, length, how)| Call::Allocate(at, length, how)),
        3 => (at(), 1..100_000_usize).prop_map(|(at, length)| Call::Write(at, length)),
        1 => at().prop_map(Call::Cut),
        1 => Just(Call::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: model::cases().cases / 6, ..model::cases() })]

    #[test]
    fn any_order_of_it_reads_as_bytes_in_memory_do(
        chunk_size in prop::sample::select(vec![1000_u32, 16384]),
        calls in prop::collection::vec(call(), 1..12),
    ) {
        let mut scratch = Scratch::with_chunk_size(chunk_size);
        let mut files = scratch.files();
        let ino = file(&*files, ROOT, "a");
        let mut expected: Vec<u8> = Vec::new();
        for (seed, call) in calls.iter().enumerate() {
            match call {
                Call::Allocate(at, length, how) => {
                    files.allocate(ino, *at, *length, *how).unwrap();
                    let (at, end) = (*at as usize, (at + length) as usize);
                    if *how != PUNCH && end > expected.len() {
                        expected.resize(end, 0);
                    }
                    if *how != GROW {
                        let (at, end) = (at.min(expected.len()), end.min(expected.len()));
                        expected[at..end].fill(0);
                    }
                }
                Call::Write(at, length) => {
                    let data = pattern(*length, seed as u64);
                    files.write(ino, *at, &data).unwrap();
                    let (at, end) = (*at as usize, *at as usize + length);
                    expected.resize(expected.len().max(end), 0);
                    expected[at..end].copy_from_slice(&data);
                }
                Call::Cut(size) => {
                    files.setattr(ino, AttrChange { size: Some(*size), ..AttrChange::default() }).unwrap();
                    expected.resize(*size as usize, 0);
                }
                Call::Reopen => {
                    drop(files);
                    files = scratch.reopen();
                }
            }
            prop_assert!(content(&*files, ino) == expected, "after call {seed}");
        }
        drop(files);
        scratch.close();
        prop_assert_eq!(check(&scratch.path(), &backing()).unwrap().found, vec![]);
    }
}
