"""`lastmetre channel check`: what a partner's samples become, before his key is given out."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from lastmetre.cli.main import app

SAMPLES = Path(__file__).parent / "samples"


def check(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["channel", "check", *map(str, arguments)])
    return result.exit_code, result.output


def document(*arguments: Any) -> tuple[int, dict[str, Any]]:
    code, output = check(*arguments, "--json")
    held: dict[str, Any] = json.loads(output)
    return code, held


def test_a_push_field_by_field() -> None:
    code, output = check(SAMPLES / "grid-east.yaml", SAMPLES / "grid-east.json")
    assert code == 0
    assert "reported_at: 2026-11-27T23:45:10+00:00, from event.createTime: '2026-11-28 07" in output
    # The check vector of the domain: this point in GCJ-02 is 23.0207, 113.7518 in WGS-84.
    assert "latitude 23.017977, longitude 113.756993 in gcj02: 23.0207" in output
    assert "not named: msgId, sign, event.level, event.type.code, event.reporter.phones[].kind" in (
        output
    )
    assert "not in the mapping: contact.email" in output


def test_work_orders_of_which_one_cannot_be_taken() -> None:
    code, held = document(SAMPLES / "hotline-orders.yaml", SAMPLES / "hotline-orders.xlsx")
    assert code == 1
    assert (held["documents"], held["reports"], held["unusable"]) == (3, 2, 1)
    assert held["fields"]["source_id"]["problems"] == [
        "hotline-orders.xlsx, line 4: 工单编号 is empty"
    ]
    phones = held["fields"]["contact.phone"]
    assert (phones["filled"], phones["missing"]) == (1, 2)
    assert held["dropped"] == {"序号": 3, "是否保密": 2}


def test_records_by_line_and_a_name_that_is_nearly_one(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("reads: json\nsource_id: fid\ntext: fact.memos\naddress: where\n")
    records = tmp_path / "records.jsonl"
    records.write_text('{"fid": 1, "fact": {"memo": "暗"}}\n\n{"fid": 2, "fact": {"memo": "坑"}}\n')
    code, held = document(mapping, records)
    assert code == 0
    assert held["never_filled"] == [
        "text: nothing at fact.memos; did you mean fact.memo?",
        "address: nothing at where",
    ]
    assert held["shown"][1]["where"] == "records.jsonl, line 3"


def test_what_an_expression_only_passes_through_counts_as_named(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("reads: json\nsource_id: fid\ntext: to_string(keys(a))\naddress: a.*.b[]\n")
    sample = tmp_path / "s.json"
    sample.write_text('{"fid": 1, "a": {"x": {"b": ["北"], "c": 1}, "y": {"b": "南"}}}')
    code, held = document(mapping, sample)
    assert code == 0
    assert held["dropped"] == {"a.x.c": 1}


def test_mistakes_of_files_are_told(tmp_path: Path) -> None:
    mapping, sample = tmp_path / "m.yaml", tmp_path / "s.json"
    mapping.write_text("reads: json\nsource_id: fid\nadress: a\n")
    sample.write_text("{'fid': 1}")
    code, output = check(mapping, sample)
    assert code == 2
    assert "line 3, adress" in output.replace("\n", "")
    assert "did you mean 'address'" in output
    mapping.write_text("reads: json\nsource_id: fid\n")
    code, output = check(mapping, sample)
    assert code == 2
    assert "is not JSON" in output
    sample.write_text("[1]")
    code, output = check(mapping, sample)
    assert code == 1
    assert "item 0: a report is a JSON object" in output
    sample.write_text("[]")
    assert check(mapping, sample)[0] == 1
