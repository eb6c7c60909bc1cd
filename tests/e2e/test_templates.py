"""Each template, instantiated into an empty folder by `nixbox-helper new` and by `nix flake init`, and brought up.

`plain` goes all the way with what every machine has. What the others declare is evaluated with stand-ins for their
inputs, and the document that comes out is brought up.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from support import ROOT, need

TEMPLATES = sorted(path.name for path in (ROOT / "templates").iterdir() if path.is_dir())


def by_helper(project, name):
    project.helper("new", name)


def by_nix(project, name):
    need("nix")
    # This repository's flake, but for its one input, which would have to be downloaded.
    flake, stub = project.base / "flake", project.base / "nixpkgs"
    flake.mkdir()
    stub.mkdir()
    shutil.copytree(ROOT / "templates", flake / "templates")
    shutil.copytree(ROOT / "tests/nix/lib", stub / "lib")
    (stub / "flake.nix").write_text("{ outputs = _: { lib = import ./lib; legacyPackages = { }; }; }")
    text = (ROOT / "flake.nix").read_text()
    declared = '"github:NixOS/nixpkgs/nixos-unstable"'
    assert text.count(declared) == 1
    (flake / "flake.nix").write_text(text.replace(declared, f'"path:{stub}"'))
    features = ("--extra-experimental-features", "nix-command flakes")
    nix(project, "nix", *features, "flake", "init", "-t", f"path:{flake}#{name}")


def nix(project, *words, **options):
    """With a store of its own, as tests/nix does it."""
    enter = f"source '{ROOT}/tests/nix/store.sh' && exec \"$@\""
    return project.command("bash", "-c", enter, "bash", *words, timeout=120, **options)


def evaluate(project, name):
    need("nix")
    arguments = ("--argstr", "folder", project.root, "--argstr", "root", project.root, "-A", name)
    file = ROOT / "tests/e2e/templates.nix"
    done = nix(project, "nix-instantiate", "--eval", "--strict", "--json", file, *arguments, cwd=project.base)
    return json.loads(done.stdout)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=[by_helper, by_nix], ids=lambda way: way.__name__)
def instantiated(request, make_project):
    def make(name):
        project = make_project(config=None)
        request.param(project, name)
        return project

    return make


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_arrives_whole(instantiated, name):
    assert files(instantiated(name).root) == files(ROOT / "templates" / name)


def test_plain_enters_comes_up_and_goes_down(instantiated):
    need("direnv")
    need("fuse")
    project = instantiated("plain")
    project.command("direnv", "allow")
    bring_up(project, "direnv", "exec", ".", "nixbox-helper")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "plain"])
def test_what_it_declares_comes_up(instantiated, name):
    need("fuse")
    project = instantiated(name)
    declared = evaluate(project, name)
    assert "serve sandbox" in declared["runs"]
    project.configure(declared["toml"])
    project.env["DEVENV_ROOT"] = str(project.root)
    project.env["DEVENV_STATE"] = str(project.root / ".devenv/state")
    names = bring_up(project, "nixbox-helper")
    # What the shell is told before anything runs must be what is true then. Its runtime folder is a stand-in's.
    told = {key: value for key, value in declared.get("env", {}).items() if "SOCKET" not in key and "AGENTFS" in key}
    assert told == {key: names[key] for key in told}


def bring_up(project, *helper):
    """Up and down again; the variables meanwhile."""
    project.command(*helper, "up", "-d")
    names = json.loads(project.command(*helper, "env", "--format", "json").stdout)
    mount = Path(names["AGENTFS_MOUNT"])
    assert mount.is_relative_to(project.root) and os.path.ismount(mount)
    (mount / "file").write_text("content")
    project.command(*helper, "down")
    return names


def test_new_never_overwrites(make_project):
    project = make_project(config="mine\n")
    done = project.helper("new", "plain", check=False)
    assert done.returncode == 5 and "nixbox::template::occupied" in done.stderr
    assert os.listdir(project.root) == ["nixbox.toml"]
    assert (project.root / "nixbox.toml").read_text() == "mine\n"
