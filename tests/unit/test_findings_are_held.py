"""Each test that a table of findings in docs names is there."""

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ROOT / "tests"
ROWS: Final[Mapping[str, tuple[str, int]]] = {
    "security.md": (r"\| [HML]\d+ \|", 4 + 9 + 14),
    "pages.md": (r"\| [ABC]\d* \|", 21),
    "pages-staff.md": (r"\| [AB]\d+ ", 25),
    "inputs.md": (r"\| \d+ \|", 27),
}
"""How a row of each table begins, and how many there are at least."""
NAMED: Final = re.compile(r"`([\w/]*)\b(test_\w+)(\.py)?(?:::(test_\w+))?(…)?`")
NOT_HELD: Final = ("open:", "below", "pyproject", "issue", "–")
"""What a row says instead of a test."""


@cache
def functions(file: Path) -> frozenset[str]:
    """The tests in a file."""
    tree = ast.parse(file.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, kinds))


@cache
def files_named(path: str) -> tuple[Path, ...]:
    """The files of tests whose path ends so."""
    return tuple(TESTS.rglob(path))


def held_by(row: str) -> list[str]:
    """What a row names that is there; raises AssertionError for what is not."""
    found: list[str] = []
    files: list[Path] = []
    for folder, name, is_file, of_file, begins in NAMED.findall(row):
        if is_file:
            files = [*files, *files_named(f"{folder}{name}.py")]
            assert files_named(f"{folder}{name}.py"), f"no file {folder}{name}.py: {row}"
        if test := of_file or ("" if is_file else name):
            there = {each for file in files or files_named("test_*.py") for each in functions(file)}
            if of_file:
                there = {
                    each for file in files_named(f"{folder}{name}.py") for each in functions(file)
                }
            such = any(each.startswith(test) for each in there) if begins else test in there
            assert such, f"no test {test}: {row}"
        found.append(name)
    return found


@pytest.mark.parametrize("document", ROWS)
def test_what_holds_a_finding_is_there(document: str) -> None:
    beginning, count = ROWS[document]
    text = (ROOT / "docs" / document).read_text("utf-8")
    rows = [row for row in text.splitlines() if re.match(beginning, row)]
    assert len(rows) >= count
    for row in rows:
        assert held_by(row) or any(each in row for each in NOT_HELD), row


def test_a_name_that_is_not_there_is_found() -> None:
    here = Path(__file__).name
    assert held_by(f"| 1 | `{here}::test_a_name_that_is_not_there_is_found` |")
    assert held_by(f"| 1 | `unit/{here}` `test_a_name_…` |")
    for wrong in ("`unit/test_nothing.py`", "`test_nothing_of_the_kind`", f"`{here}` `test_b_…`"):
        with pytest.raises(AssertionError, match="no "):
            held_by(f"| 1 | {wrong} |")
