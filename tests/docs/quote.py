#!/usr/bin/env python3
"""Writes anew what the pages quote from files. `test_quotes.py` fails where somebody forgot to."""

import re

from pages import ROOT, pages

QUOTED = re.compile(r"(<!-- from (\S+) -->\n```\w*\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)


def filled(match: re.Match) -> str:
    return match[1] + (ROOT / match[2]).read_text() + match[4]


for page in pages():
    text = page.read_text()
    if (new := QUOTED.sub(filled, text)) != text:
        page.write_text(new)
        print(page.relative_to(ROOT))
