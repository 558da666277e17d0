"""Partners connected by a YAML file alone, on a real broker and database: by a key, by a topic."""

import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lastmetre.common.contracts.topics import PARTITIONS, REPORTS
from lastmetre.common.security.caller_keys import key_digest
from tests.support.city import IntakeAlone, eventually
from tests.support.topics import delete_topics

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "unit" / "mapping" / "samples"
# Live reports are believed if they are of now.
NOW = datetime.now(ZoneInfo("Asia/Shanghai"))
PUSH = json.loads((SAMPLES / "grid-east.json").read_text("utf-8"))
PUSH["event"]["createTime"] = f"{NOW:%Y-%m-%d %H:%M:%S}"
RECORD = json.dumps(
    json.loads((SAMPLES / "river-patrol.json").read_bytes()) | {"ts": int(NOW.timestamp() * 1000)}
).encode()
TOPIC = "river.events"
KEY = {"X-API-Key": "grid-east-key"}


@pytest.fixture
async def city(intake_city: IntakeAlone, tmp_path: Path) -> AsyncIterator[IntakeAlone]:
    """Intake with two partners who write in their own forms."""
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    for name in ("grid-east", "river-patrol"):
        shutil.copy(SAMPLES / f"{name}.yaml", mappings)
    key = {"channel": "patrol", "sender": "grid-east", "mapping": "grid-east"}
    keys, topics = tmp_path / "keys.json", tmp_path / "topics.json"
    keys.write_text(json.dumps([key | {"sha256": key_digest("grid-east-key")}]))
    topics.write_text(
        json.dumps(
            [{"topic": TOPIC, "channel": "patrol", "sender": "river", "mapping": "river-patrol"}]
        )
    )
    intake_city.environment |= {
        "INTAKE_CHANNEL_KEYS_FILE": str(keys),
        "INTAKE_MAPPINGS_FOLDER": str(mappings),
        "INTAKE_PARTNER_TOPICS_FILE": str(topics),
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=intake_city.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(intake_city.prefix + TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()
    try:
        async with intake_city.running() as opened:
            yield opened
    finally:
        await delete_topics(intake_city.bootstrap, intake_city.prefix, [TOPIC])


async def until_passed_on(city: IntakeAlone, records: int) -> None:
    """Wait until intake has read so many records of the partner's topic."""

    async def read() -> bool:
        rows = await city.fetch("SELECT next_offset FROM position WHERE flow = 'partners'")
        ends: list[int] = [row["next_offset"] for row in rows]
        return sum(ends) == records

    await eventually(read)


async def test_two_forms_of_others_become_reports_at_the_same_spot(city: IntakeAlone) -> None:
    running = await city.start()
    again = PUSH | {"msgId": "another envelope"}
    async with running.client() as client:
        path = "/channels/patrol/reports"
        first = await client.post(path, json=PUSH, headers=KEY)
        assert first.status_code == 202, first.text
        assert "remarks" not in first.json()
        assert (await client.post(path, json=again, headers=KEY)).json() == first.json()
        refused = await client.post(path, json={"event": {"eventNo": None}}, headers=KEY)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {"pointer": "/event/eventNo", "message": "event.eventNo is empty"}
        ]
    for value in (RECORD, RECORD, b'{"ts": 1795823110000, "memo": "13800138000"}', b"no JSON"):
        await city.produce(TOPIC, None, value, [], partition=5)
    await until_passed_on(city, 4)
    assert await city.until_read() == Counter(accepted=2, repeated=2)

    async with running.client() as client:
        asked = await client.get(path + "/" + PUSH["event"]["eventNo"], headers=KEY)
    assert asked.json()["receipt"] == first.json()["receipt"]
    assert asked.json()["read_by"].startswith("grid-east/3/")

    rows = {row["sender"]: row for row in await city.fetch("SELECT * FROM report")}
    assert rows["grid-east"]["read_by"].startswith("grid-east/3/")
    assert rows["river"]["read_by"].startswith("river-patrol/1/")
    # The same spot, in GCJ-02 as text and in WGS-84 as millionths of degrees.
    for row in rows.values():
        assert row["latitude"] == pytest.approx(23.0207, abs=1e-5)
        assert row["longitude"] == pytest.approx(113.7518, abs=1e-5)
    letters = await city.fetch("SELECT error FROM dead_letter WHERE flow = 'partners' ORDER BY 1")
    assert [row["error"].split("/")[0] for row in letters] == [
        "by river-patrol",
        "the body is not JSON in UTF-8",
    ]

    async def relayed() -> bool:
        return len(await city.records(REPORTS)) == 2

    await eventually(relayed)
    told = {each.body["read_by"].split("/")[0] for each in await city.records(REPORTS)}
    assert told == {"grid-east", "river-patrol"}
    stored = str([tuple(row) for row in await city.fetch("SELECT * FROM report, vault")])
    for hidden in ("陈女士", "13800138000", "0769-22001234", "栏杆断了一截", "b1e6"):
        assert hidden not in stored
        assert hidden.encode("unicode_escape").decode() not in stored


async def test_a_record_that_is_read_again_after_a_crash_is_a_repetition(
    city: IntakeAlone,
) -> None:
    running = await city.start()
    await city.produce(TOPIC, None, RECORD, [], partition=5)
    await until_passed_on(city, 1)
    assert await city.until_read() == Counter(accepted=1)
    await running.kill()
    # As if it had died between the channel's acknowledgement and the commit of its position.
    await city.execute("DELETE FROM position WHERE flow = 'partners'")
    await city.start()
    await city.produce(TOPIC, None, RECORD.replace(b"88120431", b"88120432"), [], partition=5)
    await until_passed_on(city, 2)
    assert await city.until_read() == Counter(accepted=2, repeated=1)


async def test_a_mapping_that_is_not_there_ends_the_start(city: IntakeAlone) -> None:
    (city.folder / "mappings" / "grid-east.yaml").unlink()
    process = await city.launch()
    assert await process.process.wait() != 0
