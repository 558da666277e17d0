"""A sender that was stopped for its dead letters: seen, tried, released; beside a kill -9."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
import pytest

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.postgres import dead_letter_table
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.security.callers import Role
from tests.support.city import IntakeAlone, ServiceProcess, eventually, submitted
from tests.support.commands import attempt

TOPIC: Final = "channels.app"
SENDER: Final = "/channels/app/terminal"
PHONE: Final = "13900139000"
BAD: Final = 201
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
HELD: Final = 600
"""More than one portion."""


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


def report(number: int, text: str = "路灯不亮") -> bytes:
    contact = {"phone": PHONE}
    return json.dumps({"source_id": f"held-{number}", "text": text, "contact": contact}).encode()


async def send(city: IntakeAlone, bodies: Sequence[bytes], sender: str = "terminal") -> None:
    headers = submitted("app", sender)
    key = b"a key of its own"
    await asyncio.gather(*(city.produce(TOPIC, key, body, headers, 0) for body in bodies))


async def flood(city: IntakeAlone) -> None:
    """Stop the sender; what it sends then, one of them twice and otherwise, is held back."""
    await send(city, [b"not JSON"] * BAD)
    await eventually(lambda: city.value("SELECT count(*) FROM stopped_sender"))
    for text in ("路灯不亮", "井盖不见了"):
        await send(city, [report(0, text)])
    await send(city, [report(number) for number in range(1, HELD - 1)])
    await send(city, [report(9999)], sender="somebody-else")
    await eventually(lambda: _parked(city, HELD))


def release(**more: Any) -> dict[str, Any]:
    return {
        "consumer": "channels", "topic": TOPIC, "partition": 0, "source": SENDER, **more
    }  # fmt: skip


async def ask(city: IntakeAlone, process: ServiceProcess, body: dict[str, Any]) -> httpx.Response:
    async with process.client() as client:
        path = "/api/intake/v1/stopped-senders/release"
        return await client.post(
            path, json=body, headers=city.credentials.bearer(Role.ADMINISTRATOR)
        )


async def dlq(
    city: IntakeAlone, process: ServiceProcess, *words: str, code: int = 0
) -> tuple[dict[str, Any], str]:
    """What the command says of that process: the document, and what it tells a person."""
    token = city.credentials.bearer(Role.ADMINISTRATOR)["Authorization"].removeprefix("Bearer ")
    ended, document, told = await attempt(
        None, "dlq", *words, "--json", INTAKE_ADMIN_URL=process.admin, LASTMETRE_TOKEN=token
    )
    assert ended == code, told
    return json.loads(document or "{}"), told


async def test_all_that_was_held_back_is_handled_in_order_and_once(city: IntakeAlone) -> None:
    first, second = await city.start(), await city.start()
    await flood(city)
    assert await city.value("SELECT count(*) FROM report") == 1
    assert PHONE.encode() not in await city.value("SELECT string_agg(value, '') FROM parked")

    said, _ = await dlq(city, first, "senders", "--service", "intake")
    [stopped] = said["stopped_senders"]
    assert (stopped["source"], stopped["topic"], stopped["partition"]) == (SENDER, TOPIC, 0)
    assert stopped["held_back"] == HELD
    assert "dead letters, the last one: body: Invalid JSON" in stopped["reason"]
    _, told = await dlq(city, first, "release", "intake", "/nobody", code=2)
    assert "no such stopped sender: '/nobody'" in told
    tried, _ = await dlq(city, first, "release", "intake", SENDER, "--dry-run")
    assert (tried["handled"], tried["dead_letters"], tried["dry_run"]) == (500, 0, True)
    assert await city.value("SELECT count(*) FROM parked") == HELD

    portion = await ask(city, second, release())
    assert portion.json()["handled"] == 500
    assert not portion.json()["released"]
    for process in (first, second):
        await process.kill()
    # Not ready, as they say that a sender is stopped.
    third, fourth = [await city.launch() for _ in range(2)]
    await send(city, [report(HELD)])
    # Whichever of the two reads the partition, one of these is asked that does not.
    said, _ = await dlq(city, third, "senders", "--service", "intake")
    assert said["stopped_senders"][0]["held_back"] >= HELD - 500
    done, _ = await dlq(city, third, "release", "intake", SENDER, "--yes")
    assert done["handled"] + 500 in (HELD, HELD + 1)
    assert (await ask(city, fourth, release())).status_code == 404
    await send(city, [report(HELD + 1)])
    books = await city.until_read()
    assert books == {"accepted": HELD + 2, "conflict": 1, "dead": BAD}
    for process in (third, fourth):
        await process.until_ready()


async def test_a_sender_that_is_still_bad_stays_stopped_unless_dead_letters_are_accepted(
    city: IntakeAlone,
) -> None:
    process = await city.start()
    await send(city, [b"not JSON"] * BAD)
    await eventually(lambda: city.value("SELECT count(*) FROM stopped_sender"))
    await send(city, [b"still not JSON"] * BAD)
    await eventually(lambda: _parked(city, BAD))
    _, told = await dlq(city, process, "release", "intake", SENDER, "--yes", code=1)
    assert f"{BAD} of {BAD} records would be dead letters" in told
    assert "stays stopped" in told
    assert await city.value("SELECT count(*) FROM parked") == BAD
    words = ("release", "intake", SENDER, "--yes", "--accept-dead-letters")
    done, _ = await dlq(city, process, *words)
    assert (done["handled"], done["dead_letters"]) == (BAD, BAD)
    assert await city.until_read() == {"dead": 2 * BAD}
    key = await city.value("SELECT DISTINCT key FROM dead_letter")
    assert key == b"a key of its own"
    await process.until_ready()


async def _parked(city: IntakeAlone, count: int) -> bool:
    return bool(await city.value("SELECT count(*) FROM parked") == count)


async def test_what_is_held_back_does_not_expire_with_what_waits_for_its_case(
    metrics_database: str,
) -> None:
    """Dispatch refuses actions whose case does not come; a stopped sender's are none of them."""
    await migrate(metrics_database, ("common.runtime",))
    sender = Sender(TOPIC, 0, "")
    held, parked = (ConsumedRecord(TOPIC, 0, at, 1000, b"key", b"body", []) for at in (1, 2))
    connection = await asyncpg.connect(metrics_database)
    try:
        await TABLES.insert_held_back(connection, "c", [held], LONG_AGO)
        await TABLES.insert_parked(connection, "c", [(UUID(int=1), 2, parked)], LONG_AGO)
        found = await dead_letter_table.parked_before(
            connection, "c", LONG_AGO + timedelta(hours=1), [sender.key], 10
        )
    finally:
        await connection.close()
    assert [each.offset for each in found] == [2]
