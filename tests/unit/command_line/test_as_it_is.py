"""What partners wrote is printed as it is: it is no markup, and it controls no terminal."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from lastmetre.cli import case, dead_letters, stopped_senders
from lastmetre.cli.console import as_it_is

HOSTILE = "[/foo] [red]x[/red] \x1b]0;title\x07\x1b[2J\x9b31m\x00\u202etxt.exe"


def printed(what: object) -> str:
    output = io.StringIO()
    Console(file=output, force_terminal=False, width=400).print(what)
    return output.getvalue()


def test_no_markup_and_no_escape() -> None:
    text = printed(as_it_is(HOSTILE))
    assert "[/foo] [red]x[/red]" in text
    assert not set(text) & set("\x1b\x07\x9b\x00\u202e")
    assert printed(as_it_is("第一行\n\t第二行")).count("\n") == 2


@pytest.mark.parametrize(
    "table",
    [
        dead_letters.table_of([{
            "service": "intake", "id": 1, "flow": "channels", "topic": "channels.app",
            "partition": 0, "offset": 1, "key": HOSTILE, "died_at": "2026-11-22T08:00:00",
            "replayed_at": None, "corrected": False, "error": HOSTILE,
            "closed_at": "2026-11-22T09:00:00", "closed_by": HOSTILE, "closed_reason": HOSTILE,
        }]),
        stopped_senders.table_of([{
            "service": "intake", "source": HOSTILE, "topic": "channels.app", "partition": 0,
            "stopped_at": "2026-11-22T08:00:00", "held_back": 3, "reason": HOSTILE,
        }]),
    ],
    ids=["dead letters", "stopped senders"],
)  # fmt: skip
def test_a_list_can_be_printed_whatever_a_partner_wrote(table: Table) -> None:
    text = printed(table)
    assert "[/foo]" in text
    assert not set(text) & set("\x1b\x07\x9b\x00\u202e")


def test_so_can_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    step = {
        "topic": "case.events", "partition": 0, "offset": 1, "type": HOSTILE,
        "occurred_at": HOSTILE, "recorded_at": None, "body": {"category": HOSTILE},
    }  # fmt: skip
    head = dict.fromkeys(
        ("number", "case_id", "report_ids", "state", "area_id", "lead_id"), HOSTILE
    )
    case.print_case({**head, "trace_ids": [], "way": [step], "figures": {"solved": HOSTILE}})
    text = capsys.readouterr().out
    assert "[/foo]" in text
    assert not set(text) & set("\x1b\x07\x9b\x00\u202e")
