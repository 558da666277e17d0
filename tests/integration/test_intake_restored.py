"""Intake comes back from its own log: what was told keeps its ids, and its contents come again."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.topics import NETWORK_AREAS, REPORTS
from lastmetre.devstack import Stack
from tests.integration.test_intake import report
from tests.support.city import IntakeAlone, ServiceProcess, eventually
from tests.support.databases import copied_database

pytestmark = pytest.mark.slow


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


async def post(client: httpx.AsyncClient, city: IntakeAlone, items: list[Any]) -> list[str]:
    answer = await client.post(
        "/channels/app/reports", json=items, headers=city.credentials.channel("app")
    )
    assert answer.status_code == 202
    return [each["receipt"] for each in answer.json()["items"]]


async def stop(city: IntakeAlone, running: ServiceProcess) -> None:
    """Once all is read and told."""
    await city.until_read()

    async def told() -> bool:
        return bool(await city.value("SELECT count(*) = 0 FROM outbox"))

    await eventually(told)
    assert await running.end() == 0


async def restored(stack: Stack, city: IntakeAlone, backup: str) -> ServiceProcess:
    city.database_url = backup
    return await city.start()


async def rows(city: IntakeAlone) -> list[asyncpg.Record]:
    return await city.fetch("SELECT * FROM report ORDER BY report_id")


def items(first: int) -> list[dict[str, object]]:
    contact = {"name": "王小明", "phone": "13800138000"}
    return [
        report(f"{first}", contact=contact, category="06010"),
        report(f"{first + 1}", position={"latitude": 23.1, "longitude": 113.3, "datum": "gcj02"}),
        report(f"{first + 2}", reported_at="2199-12-31T00:00:00Z"),
        report(f"{first + 3}"),
        report(f"{first + 3}"),
        report(f"{first + 3}", text="另一句"),
    ]


async def test_restored_it_knows_what_it_told(stack: Stack, city: IntakeAlone) -> None:
    running = await city.start()
    async with running.client() as client:
        await post(client, city, items(0))
    await stop(city, running)
    backup = await copied_database(stack, "intake", city.database_url)
    running = await city.start()
    async with running.client() as client:
        receipts = await post(client, city, items(10))
    outcomes = await city.until_read()
    assert outcomes == Counter(accepted=6, rejected=2, repeated=2, conflict=2)
    await stop(city, running)
    before, told = await rows(city), await city.records(REPORTS)
    assert len(told) == 8

    running = await restored(stack, city, backup)
    assert await city.until_read() == outcomes
    assert await rows(city) == before
    assert await city.value("SELECT count(*) FROM report JOIN vault USING (report_id)") == 8
    async with running.client() as client:
        private = await client.post(
            "/api/intake/v1/contacts",
            json={"report_ids": [str(row["report_id"]) for row in before]},
            headers=city.credentials.service("notify"),
        )
        phones = [each["phone"] for each in private.json()["reports"].values()]
        assert sorted(phones, key=str) == ["+8613800138000"] * 2 + [None] * 6
        shown = (await client.get(f"/cases/{receipts[2]}")).json()
        assert (shown["state"], shown["reasons"]) == ("rejected", ["reported_in_the_future"])
    await stop(city, running)
    assert len(await city.records(REPORTS)) == len(told), "nothing is told twice"
    assert running.complaints(), "the operator is told that the database has gone back"
    once_more = await city.start()
    await stop(city, once_more)
    assert once_more.complaints() == []


async def test_contents_whose_record_is_gone_are_named_as_gone(
    stack: Stack, city: IntakeAlone
) -> None:
    running = await city.start()
    async with running.client() as client:
        await post(client, city, [report("before")])
    await stop(city, running)
    backup = await copied_database(stack, "intake", city.database_url)
    running = await city.start()
    async with running.client() as client:
        kept, gone = await post(client, city, [report("kept"), report("gone", category="06010")])
    await stop(city, running)
    before = await rows(city)
    place = await city.fetch(
        'SELECT topic, partition, "offset" FROM report WHERE source_id = $1', "gone"
    )
    await delete_up_to(city, *place[0])

    running = await restored(stack, city, backup)

    async def filled() -> bool:
        """What can come again has come."""
        return bool(await city.value("SELECT count(*) = 2 FROM vault"))

    await eventually(filled)
    assert [row["report_id"] for row in await rows(city)] == [row["report_id"] for row in before]
    [missing] = await city.fetch("SELECT * FROM report WHERE contents_missing")
    assert (missing["category"], missing["outcome"]) == ("06010", "accepted")
    assert (missing["sender"], missing["source_id"], missing["fingerprint"]) == (None,) * 3
    report_id = str(missing["report_id"])
    async with running.client() as client:
        for receipt in (kept, gone):
            assert (await client.get(f"/cases/{receipt}")).json()["state"] == "received"
        asked = {"report_ids": [report_id]}
        texts = await client.post(
            "/api/intake/v1/texts", json=asked, headers=city.credentials.service("dispatch")
        )
        contacts = await client.post(
            "/api/intake/v1/contacts", json=asked, headers=city.credentials.service("notify")
        )
        assert texts.json()["reports"] == contacts.json()["reports"] == {}
        # The same again is no second report; what it was compared with is not there.
        await post(client, city, [report("gone", category="06010")])

        async def noted() -> bool:
            return bool(await city.value("SELECT count(*) = 1 FROM later_record"))

        await eventually(noted)
    assert len(await city.records(REPORTS)) == 3
    assert await city.value("SELECT outcome FROM later_record") == "conflict"


async def delete_up_to(city: IntakeAlone, topic: str, partition: int, offset: int) -> None:
    """The channel loses these records, as it does when it is trimmed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=city.bootstrap)
    await admin.start()
    try:
        place = TopicPartition(city.prefix + topic, partition)
        await admin.delete_records({place: RecordsToDelete(offset + 1)})
    finally:
        await admin.close()


async def test_the_highest_version_of_an_area_counts(city: IntakeAlone) -> None:
    """Late repetitions of a relay that has lost its shard: they neither add nor take away."""
    await city.start()

    async def put(version: int) -> None:
        square = [[113.0, 23.0], [114.0, 23.0], [114.0, 24.0], [113.0, 24.0], [113.0, 23.0]]
        area = AreaPublished(
            area_id="A1", name=LocalName(zh="一", en="One"), network_version=version,
            outline={"type": "Polygon", "coordinates": [square]},
        )  # fmt: skip
        await city.tell(area)

    async def remove(version: int) -> None:
        await city.remove_area("A1", version)

    async def kept(told: int) -> list[int]:
        async def read() -> bool:
            reached = "SELECT max(next_offset) FROM position WHERE topic = $1"
            return bool(await city.value(reached, NETWORK_AREAS) == told)

        await eventually(read)
        return [row[0] for row in await city.fetch("SELECT network_version FROM area")]

    await put(4)
    await remove(5)
    assert await kept(2) == []
    await put(4)
    assert await kept(3) == [], "a late repetition brings back nothing"
    await put(6)
    assert await kept(4) == [6]
    await remove(5)
    assert await kept(5) == [6], "a late removal takes away nothing"
    await remove(7)
    assert await kept(6) == []
    assert await city.value("SELECT network_version FROM area_removal") == 7
