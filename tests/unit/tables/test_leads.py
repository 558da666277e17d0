"""The file of leads: a cell in the wrong column is told, what Excel leaves behind is nothing."""

from pathlib import Path

import pytest

from lastmetre.cli.console import Trouble
from lastmetre.cli.network.areas import Properties
from lastmetre.cli.network.command import read_network
from lastmetre.cli.network.findings import Findings
from lastmetre.cli.network.leads import Lead, read_leads
from lastmetre.devstack.home import SAMPLE_CITY

HEADER = "lead_id,area_ids,name_zh,name_en,post_zh,post_en,phone,email\n"
GOOD = 'L1,yq-0101,白云,Bai Yun,片长,"Deputy head, area lead",,l1@city.example\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "leads.csv"


def read(file: Path, text: str) -> tuple[list[Lead], list[str]]:
    file.write_text(text, "utf-8")
    findings = Findings()
    return read_leads(file, findings), findings.errors


def test_finding_5_an_unquoted_comma_moves_no_cells(file: Path) -> None:
    leads, errors = read(file, HEADER + GOOD.replace('"', ""))
    assert leads == []
    assert errors == ["leads: line 2: 9 cells where the header has 8"]


def test_finding_25_empty_rows_and_cells_are_nothing(file: Path) -> None:
    (lead,), errors = read(file, HEADER + GOOD.replace("\n", ",,\n") + ",,,,,,,\n,,,,,,,,,\n")
    assert errors == []
    assert lead.post["en"] == "Deputy head, area lead"


def test_finding_9_a_line_break_in_a_name_is_a_space(file: Path) -> None:
    (lead,), _ = read(file, HEADER + GOOD.replace("Bai Yun", '"Bai\nYun"'))
    assert lead.name == {"zh": "白云", "en": "Bai Yun"}


def test_headers_without_case_and_all_that_is_wrong_at_once(file: Path) -> None:
    (lead,), _ = read(file, HEADER.replace("phone", " Phone ").upper() + GOOD)
    assert lead.email == "l1@city.example"
    _, errors = read(file, HEADER + GOOD.replace("yq-0101", "") + GOOD + GOOD + "L2\n")
    assert errors == [
        "leads: line 2: area_ids is empty",
        "leads: line 4: the lead 'L1' is there twice",
        "leads: line 5: 1 cells where the header has 8",
    ]
    _, errors = read(file, HEADER.replace("email", "e-mail").replace("lead_id", "id") + GOOD)
    assert errors[0].startswith("leads: no column lead_id; the header names id, area_ids")
    assert errors[1].startswith("leads: unknown columns id, e-mail; known are lead_id, area_ids")


def test_nothing_is_taken_of_a_file_in_another_encoding(file: Path) -> None:
    file.write_text(HEADER + GOOD, "gb18030")
    with pytest.raises(Trouble) as refused:
        read_network(SAMPLE_CITY / "areas.geojson", Properties("area_id"), file)
    assert "line 2 is not UTF-8 but seems to be GB 18030" in refused.value.problem
    assert "CSV UTF-8" in refused.value.problem
