"""A mapping file: the one in the repository is good, and each mistake is told with its place."""

from pathlib import Path

import pytest

from lastmetre.common.mapping.file import read_mapping
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.mapping.problems import MappingError

SAMPLES = Path(__file__).parent / "samples"
GOOD = """\
times:
  zone: Asia/Shanghai
  format: "%Y-%m-%d %H:%M"
source_id: id
reported_at: at
channel:
  column: source
  values:
    Phone: hotline
replay:
  column: state
  at: done
  steps:
    done: resolve
    void: cancel
    open: null
"""

MISTAKES: dict[str, tuple[str, str, list[int | str]]] = {
    "a key that nobody knows": ("source_id: id", "source_id: id\nadress: where", [5, "adress"]),
    "a key inside that nobody knows": (
        "column: source",
        "column: source\n  extra: 1",
        [8, "channel.extra"],
    ),
    "a key too many inside": ("  at: done", "  at: done\n  when: x", [13, "replay.when"]),
    "a key that is missing": ("reported_at: at\n", "", [1, "reported_at", "required"]),
    "a key inside that is missing": ("  at: done\n", "", [10, "replay.at", "required"]),
    "a key twice": ("reported_at: at", "reported_at: at\nsource_id: no", [6, "source_id", "twice"]),
    "a channel that is none": ("Phone: hotline", "Phone: phone", [9, "channel.values.Phone"]),
    "one channel that is none": ("  column: source\n  values:\n    Phone: hotline", " fax", [6]),
    "a step that is none": ("done: resolve", "done: accept", [14, "replay.steps.done"]),
    "a zone that is none": ("Asia/Shanghai", "Asia/Shangai", [2, "times.zone"]),
    "half a day lost": ("%H:%M", "%I:%M", [3, "times.format", "%p"]),
    "minutes lost": ("%H:%M", "%H", [3, "times.format"]),
    "a format that is none": ("%H:%M", "%Q", [3, "times.format"]),
    "a delimiter that is a quote": ("source_id: id", "source_id: id\ndelimiter: '\"'", [5]),
    "a name that is nearly one": ("source_id: id", "sorce_id: id", [4, "did you mean 'source_id'"]),
    "a number where a text is meant": ("Phone: hotline", "7: hotline", [9, "quotes"]),
    "local times without a zone": ("  zone: Asia/Shanghai\n", "", [1, "times: local times need"]),
    "half a position": (
        "source_id: id",
        "source_id: id\nposition: {latitude: lat}",
        [5, "position: a position is latitude and longitude, or pair and order"],
    ),
    "no YAML": ("source_id: id", "source_id: [id", [5]),
    "a list": (GOOD, "- a\n- b\n", [1]),
    "nothing": (GOOD, "", [1]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    right, wrong, (line, *words) = MISTAKES[mistake]
    assert right in GOOD
    file = tmp_path / "mapping.yaml"
    file.write_text(GOOD.replace(right, wrong))
    with pytest.raises(MappingError) as told:
        read_mapping(file)
    assert f"line {line}" in str(told.value)
    assert all(str(word) in str(told.value) for word in words), str(told.value)


def test_a_good_one_names_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(GOOD)
    mapping = read_mapping(file).mapping
    assert isinstance(mapping, TableMapping)
    assert mapping.columns() == ["id", "at", "source", "state", "done"]


def test_those_in_the_repository_are_good() -> None:
    files = list((Path(__file__).parents[3] / "deploy" / "mappings").glob("*.yaml"))
    assert files
    for file in files:
        read_mapping(file)


JSON = """\
reads: json
source_id: id
text:
  from:
    - a.b
    - c
"""

NO_EXPRESSIONS: dict[str, tuple[str, str, list[int | str]]] = {
    "a path that breaks off": ("source_id: id", "source_id: a..b", [2, "source_id", "JMESPath"]),
    "a function that nobody knows": ("- c", "- nofunc(c", [6, "text.from", "'nofunc(c' is no"]),
    "Chinese without quotes": ("source_id: id", "source_id: 工单", [2, "'\"工单编号\"'"]),
    "a part of tables": ("source_id: id", "source_id: id\ndelimiter: ;", [3, "delimiter: Extra"]),
}


@pytest.mark.parametrize("mistake", NO_EXPRESSIONS)
def test_what_is_no_expression_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    right, wrong, (line, *words) = NO_EXPRESSIONS[mistake]
    file = tmp_path / "mapping.yaml"
    file.write_text(JSON.replace(right, wrong))
    with pytest.raises(MappingError) as told:
        read_mapping(file)
    assert f"line {line}" in str(told.value)
    assert all(str(word) in str(told.value) for word in words), str(told.value)


def test_the_examples_of_the_documentation_are_those_that_are_tried_here() -> None:
    written = (Path(__file__).parents[3] / "docs" / "channels.md").read_text("utf-8")
    samples = [*SAMPLES.glob("*.yaml"), *SAMPLES.glob("*.json")]
    assert len(samples) == 5
    for each in samples:
        assert each.read_text("utf-8").rstrip() in written, each.name
