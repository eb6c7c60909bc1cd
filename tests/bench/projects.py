"""What people do: git, cargo and npm in the view of a project."""

import json
import os
import subprocess
import tarfile
from io import BytesIO

from compare import Comparison, folder, rounds

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "check": True}


def run(smoke, count):
    files = 50 if smoke else 2000
    clone, status = f"git clone, {files} files", f"git status, {files} files, cold"
    cargo, npm = "cargo build, a crate of 20 modules", "npm install, 8 packages of 100 files"
    done = Comparison()

    def play(world, number):
        copy = world.root / f"clone-{number}"
        with done.timed(clone, world):
            # From the disk: what is compared is writing the clone.
            git("clone", "--quiet", "--no-hardlinks", base / "repository", copy)
        world.cold()
        with done.timed(status, world):
            git("-C", copy, "status", "--porcelain")
        words = ["cargo", "build", "--offline", "--quiet", "--target-dir", world.root / f"target-{number}"]
        with done.timed(cargo, world):
            subprocess.run(words, cwd=world.root / "crate", env={**os.environ, "RUSTFLAGS": ""}, **QUIET)
        place = world.root / f"npm-{number}"
        words = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--cache", world.root / f"cache-{number}"]
        with done.timed(npm, world):
            subprocess.run(words, cwd=place, **QUIET)

    with folder() as base:
        repository(base / "repository", files)
        crate(base / "crate")
        for number in range(count):
            packages(base / f"npm-{number}", 4 if smoke else 8)
        rounds(count, play, base)
    yield from done.figures(against_upstream={clone: 3})


def git(*words):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "safe.directory=*"]
    subprocess.run(["git", *who, *words], env=env, **QUIET)


def repository(root, files):
    for number in range(files):
        path = root / f"d{number % 40}" / f"f{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * (10 + number % 300))
    git("init", "--quiet", root)
    git("-C", root, "add", ".")
    git("-C", root, "commit", "--quiet", "--message", "all")


def crate(root):
    (root / "src").mkdir(parents=True)
    (root / "Cargo.toml").write_text('[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n')
    names = [f"part{number}" for number in range(20)]
    for name in names:
        (root / f"src/{name}.rs").write_text("pub fn number() -> usize { vec![1, 2, 3].iter().sum::<usize>() }\n")
    calls = " + ".join(f"{name}::number()" for name in names)
    mods = "".join(f"mod {name};\n" for name in names)
    (root / "src/main.rs").write_text(f'{mods}fn main() {{ println!("{{}}", {calls}); }}\n')


def packages(root, count):
    root.mkdir(parents=True)
    for number in range(count):
        with tarfile.open(root / f"p{number}.tgz", "w:gz") as archive:
            add(archive, "package/package.json", json.dumps({"name": f"p{number}", "version": "1.0.0"}))
            for file in range(100):
                add(archive, f"package/lib/f{file}.js", f"module.exports = {file};\n" * (10 + file))
    wanted = {f"p{number}": f"file:p{number}.tgz" for number in range(count)}
    (root / "package.json").write_text(json.dumps({"name": "small", "version": "1.0.0", "dependencies": wanted}))


def add(archive, name, text):
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    archive.addfile(entry, BytesIO(text.encode()))
