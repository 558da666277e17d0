"""The file of refused rows is opened in a spreadsheet: nothing in it is a formula."""

import csv
from contextlib import closing
from pathlib import Path

import pytest

from lastmetre.cli.importing.findings import Findings


@pytest.mark.parametrize(
    "source_id",
    ['=HYPERLINK("http://x.example","open")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"],
)
def test_finding_34_a_formula_is_written_as_text(tmp_path: Path, source_id: str) -> None:
    with closing(Findings(tmp_path / "errors.csv")) as findings:
        findings.refuse(2, source_id, "=reason")
        findings.note(3, "A-1", "as it is")
    with findings.path.open(encoding="utf-8", newline="") as file:
        _, refused, noted = csv.reader(file)
    assert refused == ["2", f"'{source_id}", "refused", "'=reason"]
    assert noted == ["3", "A-1", "taken", "as it is"]
