"""The schemas in the repository follow the code, and nobody is left with what he cannot read."""

import copy
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lastmetre.common.contracts.messages import MESSAGE_TYPES
from lastmetre.common.contracts.topics import TOPICS
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.devstack.contracts.command import SAMPLES, SCHEMAS
from lastmetre.devstack.contracts.compatibility import Meaning, breaking_changes, changes
from lastmetre.devstack.contracts.schemas import MessageHeaders, documents

GENERATED = documents()
BODIES = sorted(name for name in GENERATED if name not in ("topics.json", "headers.json"))

CHECKOUT = Path(__file__).parents[2]


def committed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_committed_schema_is_the_generated_one(name: str) -> None:
    assert (SCHEMAS / name).exists(), "run `lastmetre contracts generate`"
    assert committed(name) == GENERATED[name], "run `lastmetre contracts generate`"


@pytest.mark.parametrize("name", [*BODIES, "headers.json"])
def test_an_old_consumer_can_read_what_is_written_now(name: str) -> None:
    assert breaking_changes(committed(name), GENERATED[name]) == []


@pytest.mark.parametrize("name", [*BODIES, "headers.json"])
def test_the_committed_schema_was_not_replaced_by_a_breaking_one(name: str) -> None:
    """Somebody may have written over the file by hand: the last commit still knows."""
    path = (SCHEMAS / name).relative_to(CHECKOUT).as_posix()
    before = subprocess.run(
        ["git", "show", f"HEAD:{path}"], cwd=CHECKOUT, capture_output=True, check=False
    )
    if before.returncode:
        pytest.skip("not in a commit yet, or no git here")
    assert breaking_changes(json.loads(before.stdout), GENERATED[name]) == []


def test_no_schema_is_left_over() -> None:
    """A message that is gone from the code is still on topics that are kept for ever."""
    assert {path.name for path in SCHEMAS.glob("*.json")} == set(GENERATED)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_sample_of_every_version_still_parses_and_comes_back_whole(path: Any) -> None:
    sample = json.loads(path.read_text("utf-8"))
    message = MESSAGE_TYPES[path.stem].from_json(json.dumps(sample))
    written = json.loads(message.to_json())
    lost = {name: value for name, value in sample.items() if written.get(name) != value}
    assert lost == {}


def test_every_version_has_a_sample() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} >= set(MESSAGE_TYPES)


def test_every_topic_of_ours_names_its_messages() -> None:
    listed = {each["name"]: each["messages"] for each in GENERATED["topics.json"]["topics"]}
    assert set(listed) == {topic.name for topic in TOPICS}
    assert all(messages or name.endswith(".dlq") for name, messages in listed.items())
    assert {each for messages in listed.values() for each in messages} == set(MESSAGE_TYPES)


def test_headers_of_our_records_follow_their_schema() -> None:
    at = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
    sample = (SAMPLES / "lastmetre.case.closed.v1.json").read_text("utf-8")
    event = MESSAGE_TYPES["lastmetre.case.closed.v1"].from_json(sample)
    packed = cloud_event(
        event, topic="case.events", key="k", event_id="k:3", source="/dispatch", occurred_at=at,
        recorded_at=at, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    ).headers  # fmt: skip
    headers = {name: value.decode() for name, value in kafka_headers(packed)}
    read = MessageHeaders.model_validate(headers)
    assert read.model_dump(mode="json", by_alias=True).keys() == headers.keys()


Change = Callable[[dict[str, Any]], Any]
REGISTERED = "lastmetre.case.registered.v1.json"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["properties"].pop("number"), "number: removed or renamed"),
        (
            lambda s: s["properties"].update(no=s["properties"].pop("number")),
            "number: removed or renamed",
        ),
        (lambda s: s["properties"]["seq"].update(type="string"), "seq: may no longer be integer"),
        (
            lambda s: s["properties"]["occurred_at"].pop("format"),
            "occurred_at: may no longer be string (date-time)",
        ),
        (
            lambda s: (s["properties"].update(x={"type": "string"}), s["required"].append("x")),
            "x: required now",
        ),
        (lambda s: s["required"].append("position"), "position: required now"),
        (lambda s: s["$defs"]["Channel"]["enum"].remove("app"), "channel: no longer takes app"),
        (
            lambda s: s["properties"]["position"]["anyOf"].pop(),
            "position: may no longer be null",
        ),
        (
            lambda s: s["$defs"]["NamedPlace"]["properties"].pop("zh"),
            "place_in_words.candidates[].places[].zh: removed or renamed",
        ),
        (lambda s: s["properties"]["seq"].update(minimum=2), "seq: minimum is 2 now"),
        (lambda s: s["properties"]["number"].update(maxLength=3), "number: maxLength is 3 now"),
        (lambda s: s["properties"]["number"].update(pattern="^x"), "number: another pattern"),
    ],
)
def test_breaking_change_is_told(change: Change, told: str) -> None:
    schema = copy.deepcopy(GENERATED[REGISTERED])
    change(schema)
    assert breaking_changes(GENERATED[REGISTERED], schema) == [told]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(note={"type": "string", "default": ""}),
        lambda s: s["required"].remove("language"),
        lambda s: s["properties"]["number"].update(maxLength=500),
        lambda s: s["properties"]["number"].update(description="another"),
    ],
)
def test_harmless_change_passes(change: Change) -> None:
    schema = copy.deepcopy(GENERATED[REGISTERED])
    change(schema)
    said = changes({REGISTERED: GENERATED[REGISTERED]}, {REGISTERED: schema})
    assert {each.meaning for each in said} <= {Meaning.PASSES_OVER}
