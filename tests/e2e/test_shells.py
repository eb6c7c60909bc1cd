"""What `env` prints, read by the shells themselves: the one judge of quoting."""

import json
import re

import pytest
from support import need

ODD = """a 'quoted' "word" $HOME `id` \\ back\\slash !bang %p *?[x] ~ #no ;&|<> ü""" + "\ttab\nsecond line\\n"

CONFIG = f"""\
version = 1

[instances.sandbox]
mount.path = "a b/m'nt"
env.ODD = {json.dumps(ODD)}
env.EMPTY = ""
"""

PRINT = 'import json, os; print(json.dumps(dict(os.environ)))'


@pytest.mark.parametrize(
    ("program", "shell", "load"),
    [
        ("sh", "bash", 'eval "$(nixbox-helper env --shell bash)"'),
        ("bash", "bash", 'eval "$(nixbox-helper env)"'),
        ("zsh", "zsh", 'eval "$(nixbox-helper env --shell zsh)"'),
        ("fish", "fish", "nixbox-helper env --shell fish | source"),
    ],
)
def test_a_shell_reads_back_exactly_what_is_meant(make_project, program, shell, load):
    need(program)
    project = make_project(CONFIG)
    flags = ["-f"] if program == "zsh" else ["--no-config"] if program == "fish" else []
    done = project.command(program, *flags, "-c", f"{load}; python3 -c '{PRINT}'")
    seen, meant = json.loads(done.stdout), project.exports()
    assert {name: seen.get(name) for name in meant} == meant
    assert meant["ODD"] == ODD and meant["EMPTY"] == ""
    assert meant["AGENTFS_MOUNT"] == str(project.root / "a b/m'nt")


def test_bash_output_is_sorted_exports_and_nothing_else(project):
    lines = project.helper("env").stdout.splitlines()
    assert lines and lines == sorted(lines)
    assert all(re.fullmatch(r"export [A-Z_][A-Z0-9_]*='.*'", line) for line in lines)


def test_a_failure_prints_nothing_to_stdout(make_project):
    project = make_project('version = 1\n[instances.sandbox]\nunknwon = 1\n')
    done = project.helper("env", check=False)
    assert done.returncode == 2 and done.stdout == "" and "nixbox::config::unknown-key" in done.stderr


def test_env_starts_nothing_and_makes_no_file(project):
    before = sorted(project.base.rglob("*"))
    project.helper("env")
    assert sorted(project.base.rglob("*")) == before
    assert not project.leftovers()
