"""Upstream's `exec` fails on every overlay, after thirty seconds. In our overlay programs run, and say how they ended."""

import time

from support import need


def test_a_program_of_the_base_runs_in_the_overlay_at_once(over):
    need("fuse")
    program = over.below / "tool"
    program.write_text("#!/bin/sh\necho made by \"$1\" >made\nexit 7\n")
    program.chmod(0o755)
    owner = over.serve()
    begun = time.monotonic()
    assert over.command("./tool", "it", cwd=over.mount, check=False).returncode == 7
    assert time.monotonic() - begun < 5
    assert (over.mount / "made").read_text() == "made by it\n"
    assert not (over.below / "made").exists()
    assert over.stop(owner) == 0
