"""Fenced blocks of a Markdown page, in order."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# ```sh quickstart  -> language "sh", note "quickstart"
FENCE = re.compile(r"^```(?P<language>\w*)[ ]*(?P<note>.*)$")
QUOTE = re.compile(r"^<!-- from (?P<path>\S+) -->$")


@dataclass
class Block:
    page: Path
    line: int
    language: str
    note: str
    text: str
    # the file it is said to be a copy of
    quotes: Path | None

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    found, quotes, current = [], None, None
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence = FENCE.match(line)
        if current is not None:
            if line == "```":
                found.append(current)
                current = None
            else:
                current.text += line + "\n"
        elif fence:
            current = Block(page, number, fence["language"], fence["note"], "", quotes)
            quotes = None
        elif quote := QUOTE.match(line):
            quotes = ROOT / quote["path"]
        elif line.strip():
            quotes = None
    return found


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
