"""The file of receipts that `import --receipts` writes is the one that the audit reads."""

import json
from pathlib import Path

from lastmetre.audit.receipts import Receipt, read_receipts


def test_a_source_id_with_a_line_separator_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    line = {"receipt": "r1", "sender": "s", "channel": "app", "source_id": "a\u2028b\x85c"}
    file.write_text(f"\ufeff{json.dumps(line, ensure_ascii=False)}\r\n\nr2\n", "utf-8")
    assert read_receipts(file) == [Receipt.model_validate(line), Receipt(receipt="r2")]
