"""One file, written, read, cut, mapped and punched at random, beside a shadow of it in memory: they never differ.

The file is reached through several handles at once, some of them opened before it was first written to; now and then
the instance is restarted, or killed after an fsync."""

import ctypes
import errno
import mmap
import os
from contextlib import contextmanager

import pytest
from support import OVER, PLAIN, chance, need, scaled

KEEP_SIZE, PUNCH_HOLE = 1, 2
fallocate = ctypes.CDLL(None, use_errno=True).fallocate
fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]

LARGEST = 400_000
READERS = 3
MODES = {"plain": (PLAIN, 0), "overlay": (OVER, 200_000), "large overlay": (OVER, 6_000_000)}


class Fsx:
    def __init__(self, project, size):
        self.project = project
        self.chance = chance()
        self.path = project.mount / "file"
        self.shadow = bytearray(self.chance.randbytes(size))
        # Of the overlay's base.
        if size:
            project.below.mkdir()
            (project.below / "file").write_bytes(self.shadow)
        self.largest = max(LARGEST, size + LARGEST)
        self.log = []
        self.punches = True
        self.owner = project.serve()
        self.readers = []
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT)

    def place(self):
        """Often on the border of a page or of a chunk."""
        at = self.chance.randrange(self.largest)
        if self.chance.random() < 0.4:
            at -= at % self.chance.choice((4096, 16384, 65536)) - self.chance.choice((-1, 0, 1))
        return max(0, at)

    def length(self):
        return self.chance.choice((1, 7, self.chance.randrange(1, 5000), self.chance.randrange(1, 70_000)))

    def put(self, at, data):
        if len(self.shadow) < at + len(data):
            self.shadow.extend(bytes(at + len(data) - len(self.shadow)))
        self.shadow[at : at + len(data)] = data

    # What is done

    def write(self):
        at, data = self.place(), self.chance.randbytes(self.length())
        assert os.pwrite(self.fd, data, at) == len(data)
        self.put(at, data)
        return at, len(data)

    def append(self):
        data = self.chance.randbytes(self.length())
        if len(self.shadow) + len(data) < self.largest * 2:
            with open(self.path, "ab", buffering=0) as file:
                assert file.write(data) == len(data)
            self.put(len(self.shadow), data)
        return len(data)

    def cut(self):
        size = self.place()
        if self.chance.random() < 0.5:
            os.ftruncate(self.fd, size)
        else:
            os.truncate(self.path, size)
        self.shadow[size:] = bytes(max(0, size - len(self.shadow)))
        return size

    def empty(self):
        if self.chance.random() < 0.1:
            os.close(os.open(self.path, os.O_WRONLY | os.O_TRUNC))
            self.shadow.clear()

    def read(self):
        at, length = self.place(), self.length()
        fd = self.chance.choice([self.fd, *self.readers])
        assert os.pread(fd, length, at) == bytes(self.shadow[at : at + length]), "read"
        return at, length, fd

    def read_past_the_cache(self):
        at, length = self.place() // 4096 * 4096, 65536
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        try:
            with mmap.mmap(-1, length) as room:
                read = os.preadv(fd, [room], at)
                assert room[:read] == bytes(self.shadow[at : at + length]), "direct read"
        finally:
            os.close(fd)
        return at, length

    def open_reader(self):
        if len(self.readers) == READERS:
            os.close(self.readers.pop(0))
        self.readers.append(os.open(self.path, os.O_RDONLY))

    @contextmanager
    def mapped(self, access):
        with mmap.mmap(self.fd, len(self.shadow), access=access) as view:
            yield view

    def read_mapped(self):
        if self.shadow:
            at, length = self.place(), self.length()
            with self.mapped(mmap.ACCESS_READ) as view:
                assert view[at : at + length] == bytes(self.shadow[at : at + length]), "mapped read"
            return at, length

    def write_mapped(self):
        if self.shadow:
            at = self.chance.randrange(len(self.shadow))
            data = self.chance.randbytes(min(self.length(), len(self.shadow) - at))
            with self.mapped(mmap.ACCESS_WRITE) as view:
                view[at : at + len(data)] = data
                if self.chance.random() < 0.7:
                    view.flush()
            self.put(at, data)
            return at, len(data)

    def punch(self):
        if not self.punches:
            return None
        at, length = self.place(), self.length()
        if fallocate(self.fd, PUNCH_HOLE | KEEP_SIZE, at, length) != 0:
            assert ctypes.get_errno() == errno.EOPNOTSUPP
            self.punches = False
            return None
        end = min(len(self.shadow), at + length)
        self.shadow[at:end] = bytes(max(0, end - at))
        return at, length

    def move(self):
        other = self.project.mount / f"file{self.chance.randrange(9)}"
        self.path.rename(other)
        self.path = other

    def sync(self):
        os.fsync(self.fd)

    def restart(self):
        kill = self.chance.random() < 0.5
        if kill:
            os.fsync(self.fd)
        self.close()
        if kill:
            self.owner.kill()
            self.owner.wait(5)
        else:
            assert self.project.stop(self.owner) == 0
        self.owner = self.project.serve()
        self.fd = os.open(self.path, os.O_RDWR)
        return kill

    def whole(self):
        assert os.fstat(self.fd).st_size == len(self.shadow), "size"
        read = os.pread(self.fd, len(self.shadow) + 1, 0)
        if read != self.shadow:
            at = next(at for at, (a, b) in enumerate(zip(read, self.shadow)) if a != b)
            raise AssertionError(f"differs at {at} of {len(self.shadow)}: {read[at:at+9]} {bytes(self.shadow[at:at+9])}")

    # And how often

    def run(self, steps):
        often = {
            self.write: 30, self.read: 30, self.append: 6, self.cut: 8, self.empty: 4, self.read_past_the_cache: 4,
            self.open_reader: 6, self.read_mapped: 8, self.write_mapped: 10, self.punch: 4, self.move: 2, self.sync: 2,
        }  # fmt: skip
        for step in range(steps):
            (what,) = self.chance.choices(list(often), often.values())
            if step % 1500 == 1499:
                what = self.restart
            self.log.append((step, what.__name__))
            try:
                self.log[-1] += (what(),)
                if step % 50 == 0 or what == self.restart:
                    self.whole()
            except (AssertionError, OSError) as wrong:
                raise AssertionError(f"{wrong}; the last of {step}: {self.log[-12:]}") from wrong
        self.whole()

    def close(self):
        for fd in [self.fd, *self.readers]:
            os.close(fd)
        self.readers = []


@pytest.mark.timeout(scaled(180, 7200))
@pytest.mark.parametrize("mode", MODES)
def test_a_file_is_what_was_done_to_it(make_project, mode):
    need("fuse")
    config, size = MODES[mode]
    project = make_project(config)
    fsx = Fsx(project, size)
    fsx.run(scaled(4000, 150_000))
    fsx.close()
    assert project.stop(fsx.owner) == 0
    owner = project.serve()
    assert fsx.path.read_bytes() == fsx.shadow
    assert project.stop(owner) == 0
    assert project.journals() == []
