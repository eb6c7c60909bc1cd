"""Upstream holds one descriptor for each entry of the base that was ever seen: a large base wedges the mount."""

import os
import resource

from support import need

ENTRIES, DESCRIPTORS = 5000, 256


def test_a_base_with_more_entries_than_descriptors(over):
    need("fuse")
    for number in range(ENTRIES):
        folder = over.below / f"d{number // 250}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_text(str(number))
    owner = over.serve(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)),
    )
    seen = [(name, path) for path, _, names in os.walk(over.mount) for name in names]
    assert len(seen) == ENTRIES
    for name, path in seen:
        with open(os.path.join(path, name)) as file:
            assert f"f{file.read()}" == name
    assert len(os.listdir(f"/proc/{owner.pid}/fd")) < DESCRIPTORS / 2
    assert over.stop(owner) == 0
