"""What programs expect of a file system, through the real mount."""

import errno
import mmap
import os
import stat
import subprocess
import sys
import tarfile

import pytest


def test_four_processes_append_and_no_line_is_lost_or_torn(mounted):
    log = mounted.mount / "log"
    write = (
        "import os, sys\n"
        "fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "for n in range(500): os.write(fd, f'{sys.argv[2]} {n} {\"x\" * 40}\\n'.encode())\n"
    )
    writers = [mounted.start(sys.executable, "-c", write, str(log), str(who)) for who in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(f"{who} {n} {'x' * 40}" for who in range(4) for n in range(500))
    for who in range(4):
        assert [int(line.split()[1]) for line in lines if line.startswith(f"{who} ")] == list(range(500))


def test_a_shared_mapping_reaches_the_file(mounted):
    path = mounted.mount / "mapped"
    path.write_bytes(bytes(3 * 4096))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[4096 : 4096 + 5] = b"hello"
        view.flush()
    assert path.read_bytes()[4090:4110] == bytes(6) + b"hello" + bytes(9)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        assert view[4096:4101] == b"hello"


def test_hard_links_are_one_file(mounted):
    first, second = mounted.mount / "first", mounted.mount / "second"
    first.write_text("one")
    second.hardlink_to(first)
    assert first.stat().st_ino == second.stat().st_ino
    assert first.stat().st_nlink == 2
    second.write_text("two")
    assert first.read_text() == "two"
    first.unlink()
    assert second.read_text() == "two" and second.stat().st_nlink == 1


def test_names_may_have_255_bytes_and_no_more(mounted):
    for name in ("n" * 255, "ü" * 127, "with\nnewline", "-rf", "a b'c\"d\\"):
        (mounted.mount / name).write_text(name)
        assert name in os.listdir(mounted.mount)
        assert (mounted.mount / name).read_text() == name
    with pytest.raises(OSError, match="File name too long"):
        (mounted.mount / ("n" * 256)).write_text("")


def test_a_name_that_is_no_text_is_refused_rather_than_changed(mounted):
    """The database keeps names as text. Another file than the one that was asked for would be worse than none."""
    with pytest.raises(OSError) as refused:
        open(os.fsencode(mounted.mount) + b"/\xff\xfe", "wb").close()
    assert refused.value.errno == errno.EILSEQ
    assert os.listdir(mounted.mount) == []


def test_a_file_replaced_while_open_keeps_its_content_for_who_has_it(mounted):
    old, new = mounted.mount / "file", mounted.mount / "file.new"
    old.write_text("old")
    new.write_text("new")
    with old.open() as reader:
        new.replace(old)
        assert reader.read() == "old"
        assert os.fstat(reader.fileno()).st_nlink == 0
    assert old.read_text() == "new" and not new.exists()


def test_an_unlinked_file_can_still_be_written_and_read(mounted):
    path = mounted.mount / "gone"
    with path.open("w+b") as file:
        file.write(b"before ")
        file.flush()
        path.unlink()
        file.write(b"after")
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        assert file.read() == b"before after"
        assert not path.exists()


def test_an_open_file_follows_its_rename(mounted):
    (mounted.mount / "a").mkdir()
    (mounted.mount / "b").mkdir()
    path = mounted.mount / "a/file"
    with path.open("w") as file:
        file.write("one ")
        file.flush()
        path.rename(mounted.mount / "b/file")
        file.write("two")
    assert (mounted.mount / "b/file").read_text() == "one two"


def test_a_folder_moves_with_all_that_is_in_it(mounted):
    (mounted.mount / "a/b/c").mkdir(parents=True)
    (mounted.mount / "a/b/c/file").write_text("deep")
    (mounted.mount / "a").rename(mounted.mount / "z")
    assert (mounted.mount / "z/b/c/file").read_text() == "deep"
    with pytest.raises(OSError, match="Directory not empty"):
        (mounted.mount / "z").rmdir()
    with pytest.raises(OSError, match="Invalid argument"):
        (mounted.mount / "z").rename(mounted.mount / "z/b/inside")


def test_a_hole_reads_as_zeros(mounted):
    path = mounted.mount / "sparse"
    with path.open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    assert path.stat().st_size == (64 << 20) + 3
    with path.open("rb") as file:
        file.seek(32 << 20)
        assert file.read(4096) == bytes(4096)
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"end"


def test_truncating_up_and_down(mounted):
    path = mounted.mount / "file"
    path.write_bytes(b"x" * 10_000)
    os.truncate(path, 5_000)
    os.truncate(path, 9_000)
    assert path.read_bytes() == b"x" * 5_000 + bytes(4_000)


def test_times_and_modes_are_kept_to_the_letter(mounted):
    path = mounted.mount / "file"
    path.write_text("")
    os.utime(path, ns=(1_234_567_890_123_456_789, 987_654_321_000_000_001))
    for mode in (0o600, 0o4755, 0o1777, 0o000):
        path.chmod(mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.stat().st_mtime_ns == 987_654_321_000_000_001
    assert path.stat().st_atime_ns == 1_234_567_890_123_456_789


def test_exclusive_creation_has_one_winner(mounted):
    script = "import os, sys; os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY))"
    for number in range(20):
        target = str(mounted.mount / f"lock{number}")
        rivals = [
            mounted.start(sys.executable, "-S", "-c", script, target, stderr=subprocess.DEVNULL) for _ in range(4)
        ]
        assert sorted(rival.wait(30) for rival in rivals) == [0, 1, 1, 1]


def test_a_folder_of_two_thousand_lists_each_name_once(mounted):
    names = {f"entry-{number:04}" for number in range(2000)}
    for name in names:
        (mounted.mount / name).touch()
    listed = os.listdir(mounted.mount)
    assert len(listed) == len(set(listed)) and set(listed) == names
    # As rm -r does it: read on while what was read disappears.
    with os.scandir(mounted.mount) as entries:
        for entry in entries:
            os.unlink(entry.path)
    assert os.listdir(mounted.mount) == []


def test_statfs_says_that_there_is_room(mounted):
    room = os.statvfs(mounted.mount)
    assert room.f_bavail > 0 and room.f_namemax == 255


def test_tar_brings_everything_back(mounted):
    source = mounted.base / "source"
    (source / "sub/deep").mkdir(parents=True)
    for number, mode in enumerate((0o644, 0o600, 0o755, 0o444)):
        file = source / f"sub/file{number}"
        file.write_bytes(os.urandom(number * 5000))
        file.chmod(mode)
        os.utime(file, ns=(0, 1_600_000_000_123_456_789 + number))
    (source / "sub/link").symlink_to("file1")
    (source / "sub/hard").hardlink_to(source / "sub/file2")
    (source / "sub/deep").chmod(0o711)
    first, second = mounted.base / "first.tar", mounted.base / "second.tar"
    tar = ["tar", "--format=posix", "--sort=name", "--numeric-owner"]
    mounted.command(*tar, "-cf", first, "-C", source, ".")
    mounted.command("tar", "-xpf", first, "-C", mounted.mount)
    mounted.command(*tar, "-cf", second, "-C", mounted.mount, ".")
    assert members(second) == members(first)


def members(path):
    """Everything of each but the root itself, whose times are its own."""
    with tarfile.open(path) as tar:
        return {
            m.name: (
                m.type, m.mode, m.uid, m.gid, m.linkname,
                None if m.isdir() else m.pax_headers.get("mtime", m.mtime),
                tar.extractfile(m).read() if m.isreg() else None,
            )
            for m in tar
            if m.name != "."
        }  # fmt: skip
