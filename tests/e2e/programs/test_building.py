"""Compilers, build tools and package managers: they stat a lot, map what they write, and trust modification times."""

import json
import os
import sys

import pytest
from support import need

MAKEFILE = """
OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))
all: program
program: $(OBJECTS); $(CC) -o $@ $^
%.o: %.c all.h; $(CC) -c -o $@ $<
"""
UNITS = 24


def c_project(folder):
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "all.h").write_text("".join(f"int f{n}(void);\n" for n in range(UNITS)))
    for n in range(UNITS):
        (folder / f"f{n}.c").write_text(f'#include "all.h"\nint f{n}(void) {{ return {n}; }}\n')
    total = " + ".join(f"f{n}()" for n in range(UNITS))
    main = f'#include <stdio.h>\n#include "all.h"\nint main(void) {{ printf("%d\\n", {total}); }}\n'
    (folder / "main.c").write_text(main)


def test_make_builds_in_parallel_and_knows_what_is_new(mounted):
    need("make"), need("cc")
    mounted.stock(c_project)
    mounted.command("make", "-j4", cwd=mounted.mount)
    total = sum(range(UNITS))
    assert mounted.command("./program", cwd=mounted.mount).stdout == f"{total}\n"
    assert "Nothing to be done" in mounted.command("make", cwd=mounted.mount).stdout
    text = (mounted.mount / "f3.c").read_text()
    (mounted.mount / "f3.c").write_text(text.replace("return 3", "return 1003"))
    again = mounted.command("make", "-j4", cwd=mounted.mount).stdout
    assert again.count("-c -o") == 1 and "f3.o" in again
    assert mounted.command("./program", cwd=mounted.mount).stdout == f"{total + 1000}\n"


def rust_project(folder):
    (folder / "src").mkdir()
    (folder / "tests").mkdir()
    (folder / "Cargo.toml").write_text('[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n')
    (folder / "src/lib.rs").write_text("pub fn add(a: u32, b: u32) -> u32 { a + b }\n")
    (folder / "src/main.rs").write_text('fn main() { println!("{}", small::add(40, 2)); }\n')
    (folder / "tests/adds.rs").write_text("#[test]\nfn adds() { assert_eq!(small::add(1, 2), 3); }\n")


def test_cargo_builds_and_tests_a_crate(mounted):
    need("cargo")
    mounted.stock(rust_project)
    # The toolchain is found by the home of who runs the tests; nothing else of it is used.
    env = {name: os.environ[name] for name in ("RUSTUP_HOME", "CARGO_HOME") if name in os.environ}
    env.setdefault("RUSTUP_HOME", os.path.expanduser("~/.rustup"))
    env.setdefault("CARGO_HOME", os.path.expanduser("~/.cargo"))

    def cargo(*args):
        return mounted.command("cargo", *args, "--offline", cwd=mounted.mount, env=env, timeout=150)

    assert cargo("run", "-q").stdout == "42\n"
    assert "1 passed" in cargo("test").stdout
    # Nothing has changed, so nothing is built.
    assert "Compiling" not in cargo("build").stderr


def npm_project(folder):
    (folder / "dep").mkdir()
    (folder / "app").mkdir()
    dep = {"name": "dep", "version": "1.0.0", "main": "index.js", "bin": {"dep": "cli.js"}}
    (folder / "dep/package.json").write_text(json.dumps(dep))
    (folder / "dep/index.js").write_text("module.exports = 42;\n")
    (folder / "dep/cli.js").write_text("#!/usr/bin/env node\nconsole.log(require('./index.js') + 1);\n")


def test_npm_installs_a_package_and_a_linked_one(mounted):
    need("npm")
    mounted.stock(npm_project)

    def npm(*args, cwd):
        mounted.command("npm", *args, "--offline", "--no-audit", "--no-fund", cwd=cwd, timeout=120)

    npm("pack", "--pack-destination", "../app", cwd=mounted.mount / "dep")
    app = mounted.mount / "app"
    packed = {"name": "app", "version": "1.0.0", "dependencies": {"dep": "file:dep-1.0.0.tgz"}}
    (app / "package.json").write_text(json.dumps(packed))
    npm("install", cwd=app)
    assert mounted.command("node", "-e", "console.log(require('dep'))", cwd=app).stdout == "42\n"
    assert mounted.command("node_modules/.bin/dep", cwd=app).stdout == "43\n"
    (app / "package.json").write_text(json.dumps({**packed, "dependencies": {"dep": "file:../dep"}}))
    npm("install", cwd=app)
    assert (app / "node_modules/dep").is_symlink()
    assert mounted.command("node", "-e", "console.log(require('dep'))", cwd=app).stdout == "42\n"


def test_a_python_environment(mounted):
    venv = mounted.mount / "venv"
    mounted.command(sys.executable, "-m", "venv", "--without-pip", venv)
    (mounted.mount / "module.py").write_text("answer = 42\n")
    program = "import module, sys; print(module.answer, sys.prefix, module.__cached__)"
    out = mounted.command(venv / "bin/python", "-c", program, cwd=mounted.mount).stdout.split()
    assert out[:2] == ["42", str(venv)]
    assert (mounted.mount / "__pycache__").is_dir()
    # Compiled code is looked at by the time and size of its source.
    (mounted.mount / "module.py").write_text("answer = 4343\n")
    assert mounted.command(venv / "bin/python", "-c", program, cwd=mounted.mount).stdout.startswith("4343 ")


@pytest.mark.parametrize("linker", ["bfd", "gold"])
def test_linkers_map_what_they_write(mounted, linker):
    need("cc"), need(f"ld.{linker}")
    mounted.stock(c_project)
    mounted.command("make", "-j4", "program", f"CC=cc -fuse-ld={linker} -g", cwd=mounted.mount)
    assert mounted.command("./program", cwd=mounted.mount).stdout == f"{sum(range(UNITS))}\n"
    mounted.command("strip", "program", cwd=mounted.mount)
    assert mounted.command("./program", cwd=mounted.mount).stdout == f"{sum(range(UNITS))}\n"
