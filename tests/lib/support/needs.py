"""What a test cannot do without. Missing things skip the test; with --require-all they fail it (conftest.py)."""

import os
import shutil
from pathlib import Path

import pytest

# Names of what no package registry carries: absent, they are only ever listed.
OPTIONAL = {"NIXPKGS_LIB", "DEVENV_SRC", "PCF_SRC", "SERVICES_FLAKE_SRC", "DEVENV_TASKS_BIN", "AGENTFS_BIN", "NIXBOX_QEMU_KERNEL"}


def need(what):
    """Path of a program, value of an optional variable, or "fuse"; skips where it is not there."""
    if what in OPTIONAL:
        if not os.environ.get(what):
            pytest.skip(f"optional: {what} is not set")
        return os.environ[what]
    if what == "fuse":
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            pytest.skip("/dev/fuse is missing or closed")
        if os.geteuid() != 0:
            need("fusermount3")
        return Path("/dev/fuse")
    found = shutil.which(what)
    if not found:
        pytest.skip(f"{what} is not installed (tests/setup)")
    return Path(found)
