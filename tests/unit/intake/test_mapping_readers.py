"""The mappings that channel keys name: found at the start, or the service does not start."""

from pathlib import Path

import pytest

from lastmetre.common.security.caller_keys import read_channel_keys
from lastmetre.intake.adapters.settings_files import mapping_readers

JSON = "reads: json\nsource_id: id\n"
TABLE = "times: {format: rfc3339}\nsource_id: id\nreported_at: at\nchannel: app\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(JSON)
    (tmp_path / "table.yaml").write_text(TABLE)
    (tmp_path / "bad.yaml").write_text("reads: json\nid: id\n")
    return tmp_path


def test_each_is_read_once_and_keys_without_one_need_none(folder: Path) -> None:
    assert mapping_readers(None, [None, None]) == {}
    readers = mapping_readers(folder, ["good", None, "good"])
    assert list(readers) == ["good"]
    assert readers["good"].read_by.startswith("good/1/")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("table", "is one of tables"),
        ("bad", "line 1, source_id: Field required"),
        ("../good", "is no file's name"),
    ],
)
def test_what_cannot_be_used_ends_the_start(folder: Path, name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        mapping_readers(folder, [name])


def test_what_is_missing_ends_the_start(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.yaml"):
        mapping_readers(folder, ["gone"])
    with pytest.raises(ValueError, match="INTAKE_MAPPINGS_FOLDER is not set"):
        mapping_readers(None, ["good"])


def test_a_key_with_a_mapping_sends_no_history(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(
        '[{"channel": "app", "sender": "x", "sha256": "0", "mapping": "good", "history": true}]'
    )
    with pytest.raises(ValueError, match="sends no history"):
        read_channel_keys(file)
