"""What programs expect of a file system, through the real mount."""

import ctypes
import errno
import fcntl
import mmap
import os
import stat
import subprocess
import sys
import tarfile

import pytest
from support import OVER, eventually, need


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


LIBC = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE = 1, 2, 8, 16
EXCHANGE = 2


def call(function, *args):
    """A call of libc that Python has no word for: its errno, 0 where it went well."""
    return ctypes.get_errno() if function(*args) < 0 else 0


def fallocate(path, mode, offset, length):
    with path.open("r+b") as file:
        return call(LIBC.fallocate, file.fileno(), mode, ctypes.c_long(offset), ctypes.c_long(length))


def exchange(one, other):
    return call(LIBC.renameat2, -100, os.fsencode(one), -100, os.fsencode(other), EXCHANGE)


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


@pytest.fixture
def either(mounted):
    """A mount with a file and a folder in it: over a base, they are the base's."""

    def fill(place):
        (place / "file").write_bytes(b"0123456789" * 1000)
        (place / "folder/deep").mkdir(parents=True)
        (place / "folder/deep/x").write_text("x")

    mounted.stock(fill)
    eventually(lambda: len(os.listdir(mounted.mount)) == 2, what="the stock")
    return mounted


def test_no_time_that_a_program_sets_ends_the_owner(either):
    least, most = -(1 << 63), (1 << 63) - 1
    path = either.mount / "file"
    for sec in (least, least + 1, -(1 << 32), -2, -1, 0, 1 << 32, most - 1, most):
        for nsec in (0, 1, 500_000_000, 999_999_999):
            times = (Timespec * 2)(Timespec(0, 0), Timespec(sec, nsec))
            assert call(LIBC.utimensat, -100, os.fsencode(path), times, 0) == 0, (sec, nsec)
            # Linux keeps no fraction of the first and the last second.
            expected = sec * 10**9 + (0 if sec in (least, most) else nsec)
            assert path.stat().st_mtime_ns == expected, (sec, nsec)
            # As the database has it, and not the kernel's memory.
            shown = either.helper("fs", "stat", "file", "--json")
            assert shown.returncode == 0, shown.stderr
    assert either.helper("fs", "ls", "-l").returncode == 0
    assert either.helper("status").returncode == 0


def test_two_names_change_places(either):
    mount = either.mount
    (mount / "mine").write_text("mine")
    assert exchange(mount / "mine", mount / "file") == 0
    assert (mount / "file").read_text() == "mine" and (mount / "mine").stat().st_size == 10_000
    assert exchange(mount / "file", mount / "folder") == 0
    assert (mount / "folder").read_text() == "mine" and (mount / "file/deep/x").read_text() == "x"
    assert exchange(mount / "file", mount / "file/deep") == errno.EINVAL
    assert exchange(mount / "file", mount / "nowhere") == errno.ENOENT
    (mount / "other").mkdir()
    assert exchange(mount / "other", mount / "file/deep") == 0
    assert (mount / "other/x").read_text() == "x" and os.listdir(mount / "file/deep") == []


def test_fallocate_does_what_it_can_and_says_what_it_cannot(either):
    path = either.mount / "file"
    assert fallocate(path, 0, 9_000, 11_000) == 0
    assert path.stat().st_size == 20_000 and path.read_bytes() == b"0123456789" * 1000 + bytes(10_000)
    assert fallocate(path, KEEP_SIZE, 0, 20_000) == 0
    assert fallocate(path, KEEP_SIZE, 0, 20_001) == errno.EOPNOTSUPP
    assert fallocate(path, PUNCH_HOLE | KEEP_SIZE, 5, 10) == 0
    assert path.read_bytes()[:20] == b"01234" + bytes(10) + b"56789"
    assert fallocate(path, ZERO_RANGE, 15, 30_000) == 0
    assert path.stat().st_size == 30_015 and path.read_bytes() == b"01234" + bytes(30_010)
    assert fallocate(path, COLLAPSE, 0, 4096) == errno.EOPNOTSUPP
    big = either.mount / "big"
    big.write_bytes(b"y" * (5 << 20))
    assert fallocate(big, PUNCH_HOLE | KEEP_SIZE, 1000, 4 << 20) == 0
    expected = b"y" * 1000 + bytes(4 << 20) + b"y" * ((1 << 20) - 1000)
    assert big.read_bytes() == expected
    either.helper("down")
    assert either.helper("fs", "stat", "big", "--json").returncode == 0
    assert len(either.helper("fs", "cat", "big").stdout) == 5 << 20


def test_holes_take_no_blocks(mounted):
    path = mounted.mount / "image"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(100 << 20)
        file.write(b"x" * (1 << 20))
    stat = path.stat()
    assert stat.st_size == 1 << 30 and 1 << 20 <= stat.st_blocks * 512 <= 2 << 20
    (mounted.mount / "full").write_bytes(b"x" * 10_000)
    assert (mounted.mount / "full").stat().st_blocks == 20


def test_attributes_of_base_files_change_without_a_copy(make_project):
    need("fuse")
    project = make_project(OVER)
    project.below.mkdir()
    base = project.below / "tool"
    base.write_bytes(b"z" * (8 << 20))
    base.chmod(0o644)
    for _ in range(2):
        owner = project.serve()
        tool = project.mount / "tool"
        tool.chmod(0o751)
        os.utime(tool, ns=(1_111_111_111_222_222_222, 1_234_567_890_123_456_789))
        found = tool.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o751, 1_234_567_890_123_456_789)
        with os.scandir(project.mount) as entries:
            assert [entry.stat().st_mtime_ns for entry in entries] == [1_234_567_890_123_456_789]
        assert tool.read_bytes() == base.read_bytes()
        assert project.stop(owner) == 0
        assert project.database().stat().st_size < 1 << 20
    owner = project.serve()
    with (project.mount / "tool").open("r+b") as file:
        file.write(b"A")
    assert stat.S_IMODE((project.mount / "tool").stat().st_mode) == 0o751
    assert base.stat().st_size == 8 << 20 and base.read_bytes()[:1] == b"z"
    assert project.stop(owner) == 0


def test_names_of_a_base_that_are_no_text_are_read_and_not_changed(make_project):
    need("fuse")
    project = make_project(OVER)
    project.below.mkdir()
    name = b"\xff\xfe"
    with open(os.fsencode(project.below) + b"/" + name, "wb") as file:
        file.write(b"found")
    owner = project.serve()
    mount = os.fsencode(project.mount)
    assert os.listdir(mount) == [name]
    with open(mount + b"/" + name, "rb") as file:
        assert file.read() == b"found"
    for change in (lambda: os.truncate(mount + b"/" + name, 1), lambda: os.chmod(mount + b"/" + name, 0o600),
                   lambda: os.rename(mount + b"/" + name, mount + b"/text")):  # fmt: skip
        with pytest.raises(OSError) as refused:
            change()
        assert refused.value.errno == errno.EILSEQ
    assert project.stop(owner) == 0


def test_what_the_format_cannot_hold_has_the_errno_for_that(either):
    path = either.mount / "file"
    for refused in (
        lambda: os.setxattr(path, "user.a", b"1"),
        lambda: os.getxattr(path, "user.a"),
        lambda: os.listxattr(path),
        lambda: os.open(either.mount, os.O_TMPFILE | os.O_RDWR, 0o600),
    ):
        with pytest.raises(OSError) as error:
            refused()
        assert error.value.errno == errno.EOPNOTSUPP


def test_a_folder_that_is_written_in_place_holds_what_its_disk_does(make_project):
    need("fuse")
    project = make_project(OVER.replace('base = "base"', 'base = "base"\nmode = "direct"'))
    project.below.mkdir()
    owner = project.serve()
    ours, theirs = project.mount / "a", project.below / "a"
    ours.write_bytes(b"x" * 100_000)
    # The same answers as from the folder itself, and the same file after each.
    calls = [(KEEP_SIZE, 100_000, 50_000), (PUNCH_HOLE | KEEP_SIZE, 5_000, 9_000), (ZERO_RANGE, 90_000, 30_000), (0, 0, 200_000)]
    for mode, offset, length in calls:
        beside = project.base / "beside"
        beside.write_bytes(theirs.read_bytes())
        assert fallocate(ours, mode, offset, length) == fallocate(beside, mode, offset, length), mode
        assert theirs.read_bytes() == ours.read_bytes() == beside.read_bytes()
    (project.mount / "b").write_text("b")
    assert exchange(ours, project.mount / "b") == 0
    assert ours.read_text() == theirs.read_text() == "b"
    assert exchange(ours, project.mount / "nowhere") == errno.ENOENT
    for refused in (
        lambda: os.setxattr(ours, "user.a", b"1"),
        lambda: os.open(project.mount, os.O_TMPFILE | os.O_RDWR, 0o600),
    ):
        with pytest.raises(OSError) as error:
            refused()
        assert error.value.errno == errno.EOPNOTSUPP
    assert fallocate(project.mount / "b", COLLAPSE, 0, 4096) == errno.EOPNOTSUPP
    assert project.stop(owner) == 0


def test_what_is_asked_of_holes_and_whiteouts_has_an_answer(either):
    path = either.mount / "file"
    with path.open("rb") as file:
        assert file.seek(0, os.SEEK_DATA) == 0 and file.seek(0, os.SEEK_HOLE) == 10_000
    whiteout = 4
    assert call(LIBC.renameat2, -100, os.fsencode(path), -100, os.fsencode(either.mount / "to"), whiteout) == errno.EINVAL
    assert path.exists() and not (either.mount / "to").exists()
    # As much as there is in the world is refused before anything is done, and ends nobody.
    assert fallocate(path, 0, 0, (1 << 63) - 1) in (errno.ENOSPC, errno.EFBIG)
    assert fallocate(path, PUNCH_HOLE | KEEP_SIZE, 1 << 40, 1 << 62) == 0
    assert path.read_bytes() == b"0123456789" * 1000


def test_locks_hold_between_processes(mounted):
    path = mounted.mount / "lock"
    path.touch()
    attempt = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+')\n"
        "try: getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)\n"
    )
    for kind in ("flock", "lockf"):
        other = [sys.executable, "-c", attempt, path, kind]
        with path.open("r+") as file:
            getattr(fcntl, kind)(file, fcntl.LOCK_EX)
            assert mounted.command(*other, check=False).returncode == 7
        assert mounted.command(*other, check=False).returncode == 0


def test_direct_io_reads_and_writes_what_is_there(either):
    path = either.mount / "direct"
    page = mmap.mmap(-1, 8192)
    page.write(b"d" * 8192)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    try:
        assert os.write(fd, page) == 8192
        os.lseek(fd, 4096, os.SEEK_SET)
        back = mmap.mmap(-1, 4096)
        assert os.readv(fd, [back]) == 4096 and back[:] == b"d" * 4096
    finally:
        os.close(fd)
    assert path.read_bytes() == b"d" * 8192
    fd = os.open(either.mount / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        back = mmap.mmap(-1, 16384)
        assert os.readv(fd, [back]) == 10_000 and back[:10] == b"0123456789"
    finally:
        os.close(fd)
