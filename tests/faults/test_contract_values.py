"""A newer build writes what this one does not know: the partition stops, says so, or passes."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import pytest

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
)
from tests.faults.conftest import MakeRig
from tests.faults.rig.rig import Rig, Shape
from tests.faults.rig.verdict import parked_or_dead
from tests.support.city import TRACE, City

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="contracts"),
]  # fmt: skip

SAMPLES: Final = Path(__file__).parents[1] / "contract" / "samples"
OWN: Final = {
    REPORTS: "lastmetre.report.accepted.v1",
    CASE_EVENTS: "lastmetre.case.registered.v1",
    FEEDBACK: "lastmetre.feedback.given.v1",
    NOTIFY_DELIVERIES: "lastmetre.message.delivered.v1",
    NETWORK_AREAS: "lastmetre.area.published.v1",
}
ENUM: Final = {REPORTS: "channel", CASE_EVENTS: "channel", NOTIFY_DELIVERIES: "result"}
"""A field of each topic's message whose values are named in the contract."""
STANDS_STILL_SECONDS: Final = 8.0


@pytest.mark.parametrize("what", ["field", "type", "value"])
async def test_what_a_newer_build_writes(a_rig: MakeRig, what: str) -> None:
    rig = await a_rig(Shape())
    async with City(rig.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.import_network()
        case_id = await city.new_case("known")
        topics = [topic for topic in OWN if what != "value" or topic in ENUM]
        told = {topic: await tell(city, topic, what, str(case_id)) for topic in topics}
        if what == "field":
            await city.until(lambda: all_are_past(rig, told), "reader past the unknown field")
        else:
            await asyncio.sleep(STANDS_STILL_SECONDS)
            assert await readers_past(rig, told) == []
            unwell = await asyncio.to_thread(rig.services.unwell)
            assert unwell.keys() == {f"{reader}-0" for t in told for reader in readers_of(t)}
    assert await parked_or_dead(rig) == {}
    assert [each for each in rig.services.exits if not each.wanted] == []


async def tell(city: City, topic: str, what: str, case_id: str) -> tuple[int, int]:
    """A record as a newer build would write it; returns its partition and offset."""
    name = OWN[topic]
    body: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    fresh = {"case_id": case_id if topic == FEEDBACK else str(uuid4()), "report_id": str(uuid4())}
    body |= {field: value for field, value in fresh.items() if field in body}
    if "seq" in body:
        body["seq"] = 1
    if what == "field":
        body["from_a_newer_build"] = {"says": 1}
    if what == "value":
        body[ENUM[topic]] = "from_a_newer_build"
    key = str(body.get("case_id") or body.get("report_id") or body["area_id"])
    headers = of(name.replace(".v1", ".v9") if what == "type" else name, key)
    return await city.produce(topic, key.encode(), json.dumps(body).encode(), list(headers.items()))


def of(name: str, key: str) -> Mapping[str, bytes]:
    """The headers of an event of that type."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    values = {
        "ce_specversion": "1.0", "ce_id": str(uuid4()), "ce_type": name, "ce_source": "/newer",
        "ce_subject": key, "ce_time": now, "ce_recordedtime": now,
        "traceparent": TRACE,
        "content-type": "application/json",
    }  # fmt: skip
    return {name: value.encode() for name, value in values.items()}


def readers_of(topic: str) -> list[str]:
    """The services that read a topic."""
    return [service for service, topics in READERS.items() if topic in topics]


async def readers_past(rig: Rig, told: Mapping[str, tuple[int, int]]) -> list[tuple[str, str]]:
    """Who has read further than the record, of which topic."""
    found = []
    for topic, (partition, offset) in told.items():
        for service in readers_of(topic):
            connection = await asyncpg.connect(rig.audit_database(service))
            try:
                reached = await connection.fetchval(
                    "SELECT max(next_offset) FROM position WHERE topic = $1 AND partition = $2",
                    topic,
                    partition,
                )
            finally:
                await connection.close()
            if (reached or 0) > offset:
                found.append((service, topic))
    return found


async def all_are_past(rig: Rig, told: Mapping[str, tuple[int, int]]) -> bool:
    """Whether every reader of each topic is past the record."""
    wanted = {(service, topic) for topic in told for service in readers_of(topic)}
    return set(await readers_past(rig, told)) == wanted
