"""Mutated configurations through the program itself: never a panic, always file, line and key (P7).

The thousand of P7 are a test of crates/config; these prove that the program hands the findings on.
"""

import json
import random

ORIGINAL = """\
version = 1
data_dir = ".agentfs"
default_instance = "sandbox"
log_level = "info"

[instances.sandbox]
enable = true
description = "words"

[instances.sandbox.mount]
path = ".agentfs/mnt"
backend = "auto"
read_only = false

[instances.sandbox.http]
bind = "127.0.0.1"
port = 8080
"""
ODDITIES = ("", "-1", "99999999999999999999", '"\\u0000"', "[", "[]", "{}", '"x"', "true", "nan", "1.5", "''", "= =")


def mutate(lines, chance):
    lines = list(lines)
    at = chance.randrange(len(lines))
    key, separator, value = lines[at].partition(" = ")
    match chance.randrange(6):
        case 0 if separator:
            lines[at] = f"{key} = {chance.choice(ODDITIES)}"
        case 1 if separator:
            lines[at] = f"{key[:-1]}{chance.choice('xyz')} = {value}"
        case 2:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 3:
            cut = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + chance.choice("\0\x7f\\\"'[]={}#\n") + lines[at][cut:]
        case 4:
            del lines[at]
        case _:
            lines[at] = lines[at].replace("sandbox", chance.choice(("UPPER", "a" * 64, "-x", "a.b", '"a b"')))
    return lines


def test_a_hundred_and_fifty_mutations(project):
    chance, refused = random.Random(7), 0
    for _ in range(150):
        text = "\n".join(mutate(ORIGINAL.splitlines(), chance))
        project.configure(text)
        done = project.helper("config", "check", "--json", check=False)
        shown = f"{text}\n---\n{done.stdout}{done.stderr}"
        assert done.returncode in (0, 2), shown
        assert "panicked" not in done.stderr, shown
        if done.returncode == 2:
            refused += 1
            errors = json.loads(done.stdout or done.stderr)["errors"]
            assert errors, shown
            for error in errors:
                assert error["code"].startswith("nixbox::config::") and error["help"], shown
                assert error["file"] == str(project.root / "nixbox.toml") and error["line"], shown
                assert error["key"] or error["code"] in ("nixbox::config::syntax", "nixbox::config::version"), shown
    # A generator that breaks nothing would pass too.
    assert refused > 60
