"""`limits` on a real mount and from verbs."""

import errno
import os

import pytest
from support import eventually, need

LIMITED = """version = 1

[instances.sandbox]
mount.path = ".agentfs/mnt"
limits = { size = "1MiB", files = 4 }
"""


@pytest.fixture
def limited(make_project):
    need("fuse")
    project = make_project(LIMITED)
    owner = project.serve()
    yield project
    assert project.stop(owner) == 0


def at_last(work):
    """The kernel lets go of what was removed a moment after the answer."""

    def works():
        try:
            work()
            return True
        except OSError as error:
            assert error.errno in (errno.EDQUOT, errno.ENOSPC)
            return False

    eventually(works, 5)


def test_df_shows_the_limits_and_writing_stops_at_them(limited):
    room = os.statvfs(limited.mount)
    assert room.f_blocks * room.f_frsize == 1 << 20 and room.f_bavail == room.f_blocks
    assert (room.f_files, room.f_ffree) == (4, 4)
    path = limited.mount / "big"
    with pytest.raises(OSError) as full, path.open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x" * (100 << 10))
    assert full.value.errno == errno.ENOSPC
    kept = path.stat().st_size
    assert kept <= 1 << 20 and path.read_bytes() == b"x" * kept
    os.truncate(path, 1 << 20)
    assert os.statvfs(limited.mount).f_bavail == 0
    path.rename(limited.mount / "moved")
    (limited.mount / "moved").unlink()
    at_last(lambda: (limited.mount / "again").write_bytes(b"y" * (1 << 20)))


def test_one_more_file_than_allowed_is_over_quota(limited):
    for number in range(4):
        (limited.mount / str(number)).touch()
    with pytest.raises(OSError) as over:
        (limited.mount / "more").mkdir()
    assert over.value.errno == errno.EDQUOT
    (limited.mount / "0").unlink()
    at_last((limited.mount / "more").mkdir)


def test_a_verb_without_an_owner_keeps_to_them_too(make_project):
    project = make_project(LIMITED)
    project.helper("init", "sandbox")
    project.helper("fs", "write", "a", input="x" * 1000)
    refused = project.helper("fs", "write", "b", input="x" * (1 << 20), check=False)
    assert refused.returncode == 8
    assert "nixbox::file::limit" in refused.stderr and "limits.size" in refused.stderr
    assert project.helper("fs", "ls").stdout == "a\n"
