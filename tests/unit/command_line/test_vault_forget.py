"""`lastmetre vault forget` of a case with several reports: somebody has to say whose."""

from collections.abc import Sequence
from typing import Any

import pytest

from lastmetre.cli import vault
from lastmetre.cli.console import Trouble, UsedWrongly

NOTHING = {"reports": 0, "dead_letters": 0, "dead_letters_waiting": 0}
REPORTS = [
    {"report_id": f"0000000{n}", "channel": "app", "reported_at": "2026-11-22T15:00:00+08:00"}
    for n in (1, 2)
]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What the tool is given; it has two reports to choose from until it is told a phone."""
    found: list[Sequence[str]] = []

    def run(_: str, __: str, ___: str, arguments: Sequence[str]) -> dict[str, Any]:
        found.append(arguments)
        several = not any(each.startswith("--phone-ends") for each in arguments)
        return {"reports": 0, "whose": REPORTS} if several else NOTHING | {"reports": 1}

    monkeypatch.setattr(vault, "run_tool", run)
    return found


def test_it_says_among_which(given: list[Sequence[str]]) -> None:
    with pytest.raises(Trouble, match=r"(?s)00000001 app 2026.*00000002 app 2026"):
        vault.forget(number="261122-0418583")
    assert given == [["--number=261122-0418583"]]


def test_the_end_of_a_phone_says_whose(
    given: list[Sequence[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    vault.forget(number="261122-0418583", phone_ends="8000", dry_run=True)
    assert given == [["--number=261122-0418583", "--phone-ends=8000", "--dry-run"]]
    assert "contacts and texts of 1 reports would be erased" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone_ends": "8000"},
        {"phone_ends": "8000", "report": "x"},
        {"phone_ends": "800", "number": "261122-0418583"},
        {"number": "261122-0418583", "report": "x"},
    ],
)
def test_it_is_said_in_one_way(given: list[Sequence[str]], wrong: dict[str, Any]) -> None:
    with pytest.raises(UsedWrongly):
        vault.forget(**wrong)
    assert given == []
