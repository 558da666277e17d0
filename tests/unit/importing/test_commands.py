"""`import` and `replay-actions` on files with rows that cannot be used: none ends the run."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from typer.testing import CliRunner

from lastmetre.cli.importing import command, replay_command
from lastmetre.cli.main import app
from lastmetre.common.contracts.base import Channel

MAPPING = """\
times: {zone: America/Los_Angeles, format: "%m/%d/%Y %I:%M:%S %p"}
source_id: id
reported_at: when
channel: app
text: text
replay: {column: status, at: closed, steps: {Closed: resolve, Open: null}}
"""
HEADER = "id,when,text,status,closed\n"
FAR_CLOSING = "1,01/02/2020 10:00:00 AM,Graffiti,Closed,01/03/3020 10:00:00 AM\n"
NO_DATE = "2,12/31/9999 11:59:59 PM,Graffiti,Closed,01/03/2020 10:00:00 AM\n"
STRAY_QUOTE = '3,01/02/2020 10:00:00 AM,"lamp broken,Closed,01/03/2020 10:00:00 AM\n'
LONG_ID = f"{'9' * 121},01/02/2020 10:00:00 AM,Graffiti,Closed,01/03/2020 11:00:00 AM\n"
GOOD = "5,01/02/2020 11:00:00 AM,Graffiti,Closed,01/03/2020 11:00:00 AM\n"


class City:
    """Has heard of every report as long as its id is one; nothing is closed yet."""

    def __init__(self, _: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look_up(self, _: Channel, source_ids: Sequence[str]) -> list[dict[str, Any]]:
        assert all(len(each) <= 120 for each in source_ids)
        return [
            {"source_id": each, "outcome": "accepted", "state": "dispatched", "lead_id": "L1"}
            for each in source_ids
        ]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> tuple[int, str]:
    monkeypatch.setenv("LASTMETRE_HOME", str(folder / "home"))
    for module in (command, replay_command):
        monkeypatch.setattr(module, "ServiceClient", City)
    (folder / "m.yaml").write_text(MAPPING)
    (folder / "f.csv").write_text(text)
    options = [str(folder / "f.csv"), "--mapping", str(folder / "m.yaml"), "--dry-run", "--json"]
    result = CliRunner().invoke(app, [name, *options])
    return result.exit_code, result.stdout or result.stderr


def refused(document: dict[str, Any]) -> dict[int, str]:
    with Path(document["errors_file"]).open(encoding="utf-8", newline="") as file:
        return {int(row["line"]): row["reason"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("name", "counted", "told"),
    [
        ("import", "already_there", {3: "not in the years", 4: "never closed", 5: "id: String"}),
        (
            "replay-actions",
            "resolved",
            {2: "not in the years", 3: "not in the years", 4: "never closed", 5: "id: String"},
        ),
    ],
)
def test_findings_2_3_4_bad_rows_end_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, counted: str, told: dict[int, str]
) -> None:
    text = HEADER + FAR_CLOSING + NO_DATE + STRAY_QUOTE + LONG_ID + GOOD
    code, output = run(tmp_path, monkeypatch, name, text)
    document = json.loads(output)
    reasons = refused(document)
    assert code == 1
    assert reasons.keys() == told.keys()
    assert all(words in reasons[line] for line, words in told.items()), reasons
    assert (document["rows"], document["refused"]) == (5, len(told))
    assert document[counted] == 5 - len(told)


def test_a_header_that_does_not_fit_is_used_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = run(tmp_path, monkeypatch, "import", HEADER.replace("when", "WHAT") + GOOD)
    assert code == 2
    assert "no column when; the header names id, WHAT" in output
