"""devenv's own task runner, where one is at hand: what `devenv up` does with the processes that we declare."""

import os

from support import ROOT, need


def test_devenv_brings_an_instance_up_and_ends_it(project):
    need("DEVENV_TASKS_BIN")
    need("nix")
    need("fuse")
    project.command(ROOT / "tests/nix/devenv-up", env=sources(), timeout=120)


def sources():
    return {name: os.environ[name] for name in ("DEVENV_TASKS_BIN", "DEVENV_SRC", "NIXPKGS_LIB") if name in os.environ}
