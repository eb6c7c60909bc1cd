"""What the pages quote is what the files say, and what they link to is there."""

import re

import pytest
from pages import ROOT, blocks, pages

QUOTED = [block for page in pages() for block in blocks(page) if block.quotes]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("block", QUOTED, ids=str)
def test_quote_is_the_file(block):
    assert block.text == block.quotes.read_text()


def test_the_readme_quotes_every_template():
    quoted = {block.quotes.relative_to(ROOT).parts[1] for block in blocks(ROOT / "README.md") if block.quotes}
    assert quoted == {path.name for path in (ROOT / "templates").iterdir() if path.is_dir()}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not missing
