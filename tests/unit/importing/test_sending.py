"""What the edge says of reports that it takes is for the person who handed the file in."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.importing.findings import Findings
from lastmetre.cli.importing.reports import Prepared
from lastmetre.cli.importing.sending import Sending
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted

REMARKS = {
    "2": [{"pointer": "/contact/phone", "message": "no number"}],
    "3": [
        {"pointer": "/position", "message": "0,0"},
        {"pointer": "/contact/email", "message": "no address"},
    ],
}


class Edge:
    """Takes everything, with its remarks, and has read it at once."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def submit(self, _: Channel, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        self.taken |= {body["source_id"] for body in bodies}
        said = [REMARKS.get(body["source_id"]) for body in bodies]
        return [{"status": 202, **({"remarks": each} if each else {})} for each in said]

    def look_up(self, _: Channel, source_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"source_id": each, "outcome": "accepted" if each in self.taken else "unseen"}
            for each in source_ids
        ]


def test_rows_that_are_taken_with_a_remark_are_noted_with_it(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "errors.csv")
    sending = Sending(cast("ServiceClient", Edge()), findings)
    sending.send(
        Prepared(line, Channel.APP, ReportSubmitted(source_id=str(line), text="灯"), None)
        for line in (1, 2, 3)
    )
    sending.finish()
    findings.close()
    assert (sending.accepted, findings.noted, findings.refused) == (3, 2, 0)
    with findings.path.open(encoding="utf-8", newline="") as file:
        rows = [(row["line"], row["what"], row["reason"]) for row in csv.DictReader(file)]
    assert rows == [
        ("2", "taken", "/contact/phone: no number"),
        ("3", "taken", "/position: 0,0; /contact/email: no address"),
    ]
