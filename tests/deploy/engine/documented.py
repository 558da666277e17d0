"""The lines of docs/operations.md that are shown to be typed."""

import re

from tests.deploy.rendering import ROOT


def lines_below(section: str, paragraph: str) -> str:
    """The first block of commands in a section below the paragraph that begins with these words."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for words in (f"\n## {section}\n", f"\n**{paragraph}**"):
        _, found, text = text.partition(words)
        assert found, f"docs/operations.md lacks {words!r}"
    block = re.search(r"^```\w*\n(.*?\n)```$", text, re.MULTILINE | re.DOTALL)
    assert block
    return block[1]


def lines_of_cron(section: str, paragraph: str) -> list[str]:
    """The commands of such a block of lines for cron, without their times."""
    return [line.split(maxsplit=5)[5] for line in lines_below(section, paragraph).splitlines()]
