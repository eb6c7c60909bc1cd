"""The guide's commands work as they stand: each page's `sh` blocks run in order, in one folder of their own.

A `text` block after an `sh` block is what it prints; `[..]` in it stands for any text on that line.
A block marked `sh norun` is shown and not run.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from pages import ROOT, blocks
from support.needs import need

GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))


def matches(expected: str, actual: str) -> bool:
    pattern = r"[^\n]*".join(re.escape(part) for part in expected.split("[..]"))
    return re.fullmatch(pattern, actual) is not None


def helper_folder() -> Path:
    helper = os.environ.get("NIXBOX_HELPER", ROOT / "helper/target/debug/nixbox-helper")
    return Path(helper).resolve().parent


@pytest.fixture
def shell(tmp_path):
    """Runs a block; what a page leaves running is stopped by the helper itself, then by process group."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    home = tmp_path / "home"
    project = tmp_path / "project"
    home.mkdir()
    project.mkdir()
    environment = {
        "PATH": f"{helper_folder()}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "LC_ALL": "C.UTF-8",
    }

    blocks_run = []
    # each block starts where the last one ended, as if typed into one shell
    place = [project]

    def run(script: str) -> subprocess.CompletedProcess:
        where = tmp_path / "where"
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", f"trap 'pwd > {where}' EXIT\n{script}"],
            cwd=place[0],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        blocks_run.append(process.pid)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        place[0] = Path(where.read_text().strip())
        return subprocess.CompletedProcess(script, process.returncode, out, err)

    yield run
    for folder in {project, place[0], *(path for path in project.iterdir() if path.is_dir())}:
        if (folder / "nixbox.toml").exists():
            subprocess.run(["nixbox-helper", "down"], cwd=folder, env=environment, capture_output=True, timeout=60)
    for group in blocks_run:
        # what a page started by itself; the number is nobody else's while one of the group lives
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {tmp_path}" in line]
    assert not left


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_page(page, shell):
    if not shutil.which("nixbox-helper", path=str(helper_folder())):
        pytest.fail("nixbox-helper is not built; run `cargo build` in helper/")
    if any(block.language == "sh" and "tursodb " in block.text for block in blocks(page)):
        need("tursodb")
    last = None
    for block in blocks(page):
        if block.language == "sh" and block.note != "norun":
            last = shell(block.text)
            assert last.returncode == 0, f"{block}\n{last.stdout}{last.stderr}"
        elif block.language == "text" and last is not None:
            assert matches(block.text, last.stdout), f"{block} prints\n{last.stdout}"
            last = None
