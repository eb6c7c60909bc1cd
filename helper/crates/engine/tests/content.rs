//! Bytes: across chunks, with holes, shrinking and growing; and that what is stored is what upstream's SDKs expect.
#![allow(clippy::unwrap_used)]

mod support;

use nixbox_engine::*;
use support::*;

fn resize(files: &Files, ino: Ino, size: u64) {
    let attr = files.setattr(ino, AttrChange { size: Some(size), ..AttrChange::default() }).unwrap();
    assert_eq!(attr.size, size);
}

/// Checks what SPEC.md asks of `fs_data`, and answers each file's content as the SDKs of npm and PyPI read it: all
/// chunks joined in order.
fn joined(scratch: &Scratch) -> Vec<(i64, Vec<u8>)> {
    let db = scratch.sql();
    let chunk_size: i64 = db
        .query_row("SELECT CAST(value AS INTEGER) FROM fs_config WHERE key = 'chunk_size'", [], |row| row.get(0))
        .unwrap();
    let mut files = db.prepare("SELECT ino, size FROM fs_inode WHERE mode & 61440 = 32768 ORDER BY ino").unwrap();
    let files = files.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut chunks = db.prepare("SELECT chunk_index, data FROM fs_data WHERE ino = ? ORDER BY chunk_index").unwrap();
    let mut answer = Vec::new();
    for file in files {
        let (ino, size): (i64, i64) = file.unwrap();
        let mut content = Vec::new();
        let rows = chunks.query_map([ino], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        for (at, row) in rows.enumerate() {
            let (index, data): (i64, Vec<u8>) = row.unwrap();
            assert_eq!(index, at as i64, "no chunk is missing");
            assert_eq!(
                data.len() as i64,
                chunk_size.min(size - index * chunk_size),
                "chunk {index} of a file of {size}"
            );
            content.extend(data);
        }
        assert_eq!(content.len() as i64, size);
        answer.push((ino, content));
    }
    answer
}

#[test]
fn writes_land_wherever_they_begin_and_end() {
    let mut scratch = Scratch::with_chunk_size(7);
    let files = scratch.files();
    let ino = file(&*files, ROOT, "f");
    let mut expected: Vec<u8> = Vec::new();
    let mut seed = 1;
    for offset in [0_usize, 3, 6, 7, 8, 13, 14, 20, 35, 50] {
        for length in [1_usize, 6, 7, 8, 14, 15, 40] {
            seed += 1;
            let data = pattern(length, seed);
            assert_eq!(files.write(ino, offset as u64, &data).unwrap(), length as u32);
            expected.resize(expected.len().max(offset + length), 0);
            expected[offset..offset + length].copy_from_slice(&data);
            assert_eq!(files.read(ino, 0, 1000).unwrap(), expected);
        }
    }
    for from in 0..expected.len() {
        for length in [1, 7, 9] {
            let until = expected.len().min(from + length);
            assert_eq!(files.read(ino, from as u64, length as u32).unwrap(), expected[from..until]);
        }
    }
    assert!(files.read(ino, expected.len() as u64, 1).unwrap().is_empty());
    drop(files);
    scratch.close();
    assert_eq!(joined(&scratch), [(ino as i64, expected)]);
}

#[test]
fn holes_read_as_zeroes_and_are_stored_as_zeroes() {
    let mut scratch = Scratch::with_chunk_size(4096);
    let files = scratch.files();
    let small = file(&*files, ROOT, "small");
    files.write(small, 0, b"head").unwrap();
    files.write(small, 300_000, b"tail").unwrap();
    let large = file(&*files, ROOT, "large");
    files.open(large).unwrap();
    files.write(large, 5000, b"head").unwrap();
    files.write(large, 8_000_001, b"tail").unwrap();
    let grown = file(&*files, ROOT, "grown");
    resize(&files, grown, 20_000_001);
    let expect = |at: usize, length: usize, start: usize| {
        let mut content = vec![0; length];
        content[start..start + 4].copy_from_slice(b"head");
        if at > 0 {
            content[at..at + 4].copy_from_slice(b"tail");
        }
        content
    };
    let small_content = expect(300_000, 300_004, 0);
    let large_content = expect(8_000_001, 8_000_005, 5000);
    let read = |ino| files.read(ino, 0, u32::MAX).unwrap();
    assert!(read(small) == small_content && read(large) == large_content && read(grown) == vec![0; 20_000_001]);
    files.release(large);
    drop(files);
    scratch.close();
    let stored = joined(&scratch);
    assert!(
        stored == [(small as i64, small_content), (large as i64, large_content), (grown as i64, vec![0; 20_000_001])]
    );
}

#[test]
fn a_hole_too_large_to_fill_costs_nothing() {
    let mut scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "disk.img");
    resize(&files, ino, 1 << 40);
    files.write(ino, (1 << 40) - 4, b"tail").unwrap();
    assert_eq!(files.read(ino, (1 << 40) - 8, 100).unwrap(), b"\0\0\0\0tail");
    drop(files);
    let files = scratch.reopen();
    assert_eq!(files.read(ino, (1 << 40) - 8, 100).unwrap(), b"\0\0\0\0tail");
    assert_eq!(files.read(ino, 1 << 39, 1 << 20).unwrap(), vec![0; 1 << 20]);
    assert!(scratch.path().metadata().unwrap().len() < 1 << 20);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let mut scratch = Scratch::with_chunk_size(100);
    let files = scratch.files();
    let ino = file(&*files, ROOT, "f");
    let data = pattern(1000, 1);
    for (cut, grow) in [(950, 1000), (900, 901), (899, 1200), (50, 5000), (0, 10)] {
        files.write(ino, 0, &data).unwrap();
        resize(&files, ino, cut);
        assert_eq!(files.read(ino, 0, 9999).unwrap(), data[..cut as usize]);
        resize(&files, ino, grow);
        let mut expected = data[..cut as usize].to_vec();
        expected.resize(grow as usize, 0);
        assert_eq!(files.read(ino, 0, 9999).unwrap(), expected);
    }
    files.write(ino, 0, &data).unwrap();
    resize(&files, ino, 120);
    drop(files);
    scratch.close();
    assert_eq!(joined(&scratch), [(ino as i64, data[..120].to_vec())]);
}

/// What upstream's mount (missing chunks) and its npm SDK (a short chunk in a file that grew) leave behind.
#[test]
fn gaps_left_by_others_read_as_zeroes_and_can_be_written() {
    let mut scratch = Scratch::with_chunk_size(10);
    let ino = file(&*scratch.files(), ROOT, "f");
    scratch.close();
    scratch
        .sql()
        .execute_batch(&format!(
            "UPDATE fs_inode SET size = 47 WHERE ino = {ino};
             INSERT INTO fs_data VALUES ({ino}, 1, CAST('abc' AS BLOB)), ({ino}, 3, CAST('0123456789' AS BLOB)),
                                        ({ino}, 4, CAST('0123456789' AS BLOB)), ({ino}, 9, CAST('stray' AS BLOB));"
        ))
        .unwrap();
    let files = scratch.open();
    let mut expected = b"\0\0\0\0\0\0\0\0\0\0abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x000123456789".to_vec();
    expected.extend(b"0123456");
    assert_eq!(files.read(ino, 0, 100).unwrap(), expected);
    files.write(ino, 15, b"xy").unwrap();
    expected[15..17].copy_from_slice(b"xy");
    assert_eq!(files.read(ino, 0, 100).unwrap(), expected);
    resize(&files, ino, 95);
    expected.resize(95, 0);
    assert_eq!(files.read(ino, 0, 100).unwrap(), expected);
}

#[test]
fn sizes_have_a_limit() {
    let scratch = Scratch::new();
    let files = scratch.files();
    let ino = file(&*files, ROOT, "f");
    refused(files.write(ino, i64::MAX as u64, b"xx"), libc::EFBIG);
    refused(files.write(ino, u64::MAX, b"xx"), libc::EFBIG);
    refused(files.setattr(ino, AttrChange { size: Some(1 << 63), ..AttrChange::default() }), libc::EFBIG);
    files.write(ino, i64::MAX as u64 - 1, b"x").unwrap();
    assert_eq!(files.read(ino, i64::MAX as u64 - 2, 100).unwrap(), b"\0x");
    let dir = folder(&*files, ROOT, "d");
    refused(files.write(dir, 0, b"x"), libc::EISDIR);
    refused(files.read(dir, 0, 1), libc::EISDIR);
    refused(files.setattr(dir, AttrChange { size: Some(0), ..AttrChange::default() }), libc::EISDIR);
}

#[test]
fn two_threads_append_to_files_of_their_own_and_both_read_everything() {
    let scratch = Scratch::new();
    let files = scratch.files();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let files = files.clone();
            scope.spawn(move || {
                let ino = file(&*files, ROOT, &format!("f{thread}"));
                let data = pattern(100_000, thread);
                for (step, piece) in data.chunks(777).enumerate() {
                    files.write(ino, step as u64 * 777, piece).unwrap();
                    let end = (step * 777 + piece.len()) as u64;
                    assert_eq!(files.read(ino, end - 5, 100).unwrap(), data[end as usize - 5..end as usize]);
                }
                files.fsync(ino).unwrap();
                assert_eq!(files.read(ino, 0, 200_000).unwrap(), data);
            });
        }
    });
}

#[test]
fn statfs_tells_the_disk_below() {
    let scratch = Scratch::new();
    let stat = scratch.files().statfs().unwrap();
    let disk = nix::sys::statvfs::statvfs(scratch.folder.path()).unwrap();
    assert_eq!((stat.blocks, stat.block_size, stat.name_max), (disk.blocks(), disk.fragment_size() as u32, 255));
    assert!(stat.blocks_free <= stat.blocks && stat.blocks_free > 0);
}
