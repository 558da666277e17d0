"""What a reader that is older makes of a message on our own topics: it passes, waits, or is bad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastmetre.common.contracts.messages import MESSAGE_TYPES, TOPIC_MESSAGES
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode

SAMPLES = Path(__file__).parent / "samples"
ENUMS: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "reports": ("lastmetre.report.accepted.v1", lambda b: b.update(channel="drone")),
    "case.events": ("lastmetre.case.unplaced.v1", lambda b: b.update(reason="no_roster")),
    "field.outcomes": ("lastmetre.action.answered.v1", lambda b: b.update(action="extend")),
    "notify.deliveries": ("lastmetre.message.delivered.v1", lambda b: b.update(result="bounced")),
}


def record(topic: str, kind: str, body: dict[str, Any]) -> ConsumedRecord:
    return ConsumedRecord(
        topic, 0, 0, 0, b"key", json.dumps(body).encode(), [("ce_type", kind.encode())]
    )


def sample(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{kind}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("topic", ENUMS)
def test_a_new_value_of_an_enum_waits(topic: str) -> None:
    kind, change = ENUMS[topic]
    body = sample(kind)
    change(body)
    with pytest.raises(UnknownEventType):
        decode(record(topic, kind, body), MESSAGE_TYPES)


@pytest.mark.parametrize("topic", ENUMS)
def test_a_new_value_beside_a_mistake_is_bad(topic: str) -> None:
    kind, change = ENUMS[topic]
    body = sample(kind)
    change(body)
    next_field = next(name for name in body if name.endswith("_id"))
    body[next_field] = "no id"
    with pytest.raises(BadRecord):
        decode(record(topic, kind, body), MESSAGE_TYPES)


@pytest.mark.parametrize("topic", TOPIC_MESSAGES)
def test_an_unknown_field_passes_and_an_unknown_type_waits(topic: str) -> None:
    for model in TOPIC_MESSAGES[topic]:
        kind = model.TYPE
        body = sample(kind)
        with pytest.raises(UnknownEventType):
            decode(record(topic, kind.replace(".v1", ".v9"), body), MESSAGE_TYPES)
        read = decode(record(topic, kind, body | {"not_known": 1}), MESSAGE_TYPES)
        assert isinstance(read, model)
