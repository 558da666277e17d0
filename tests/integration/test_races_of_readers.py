"""What a reader of the ledger does at the same time as somebody else, both orders forced."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from lastmetre.metrics.application.rebuild_facts import Outcome
from lastmetre.metrics.entrypoints.rebuild import rebuild
from lastmetre.metrics.settings import RebuildSettings
from tests.support.books import audit
from tests.support.city import City
from tests.support.holding import blocked, holding

VIEWS: Final = {"intake": "case_view", "notify": "subject", "metrics": "fact"}
"""Where each reader keeps how far it has come with a case."""
POSITION: Final = (
    "SELECT 1 FROM position WHERE flow = 'cases' AND topic = $1 AND partition = $2 FOR UPDATE"
)


def partition_of(case_id: UUID) -> int:
    """Where the ledger has this case."""
    return partitions_of([str(case_id).encode()], PARTITIONS)[0]


async def read_up_to(city: City, service: str, case_id: UUID, seq: int) -> None:
    database = await city.database(service)

    async def there() -> bool:
        found = await database.fetchval(
            f"SELECT seq FROM {VIEWS[service]} WHERE case_id = $1", case_id
        )
        return bool(found == seq)

    await city.until(there, f"seq {seq} in {service}")


@asynccontextmanager
async def cannot_handle(city: City, service: str, case_id: UUID) -> AsyncIterator[None]:
    """The reader's database takes seq 3 of this case from nobody."""
    database = await city.database(service)
    table = VIEWS[service]
    await database.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT no_three"
        f" CHECK (NOT (seq = 3 AND case_id = '{case_id}')) NOT VALID"
    )
    try:
        yield
    finally:
        await database.execute(f"ALTER TABLE {table} DROP CONSTRAINT no_three")


async def dead_letter(city: City, service: str, case_id: UUID) -> int:
    """The id of the dead letter that this case has."""
    database = await city.database(service)

    async def found() -> int | None:
        number: int | None = await database.fetchval(
            "SELECT id FROM dead_letter WHERE key = $1 AND replayed_at IS NULL",
            str(case_id).encode(),
        )
        return number

    return await city.until(found, f"dead letter in {service}")


def replay(city: City, service: str, letter: int) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(
        city.http.post(
            city.url(service, f"/api/{service}/v1/dead-letters/{letter}/replay"),
            headers=city.bearer(Role.ADMINISTRATOR),
        )
    )


async def parked(city: City, service: str, case_id: UUID) -> list[int]:
    database = await city.database(service)
    rows = await database.fetch("SELECT seq FROM parked WHERE key = $1 ORDER BY seq", case_id)
    return [row["seq"] for row in rows]


@pytest.mark.parametrize("first", ["events", "replay", "events long before"])
@pytest.mark.parametrize("service", VIEWS)
async def test_dead_seq_3_and_events_4_and_5(city: City, service: str, first: str) -> None:
    """What follows a dead letter waits parked; replayed, all is applied in order."""
    await city.import_network()
    case_id = await city.new_case(f"dead-{uuid.uuid4()}")
    await read_up_to(city, service, case_id, 2)
    async with cannot_handle(city, service, case_id):
        assert (await city.act(case_id, "accept")).is_success
        letter = await dead_letter(city, service, case_id)

    async def go_on() -> None:
        for action in ("arrive", "resolve"):
            assert (await city.act(case_id, action)).is_success

    if first == "events long before":
        await go_on()

        async def wait() -> bool:
            return await parked(city, service, case_id) == [4, 5, 6, 7]

        await city.until(wait, "four parked events")
        replaying = replay(city, service, letter)
    else:
        async with holding(city, service, POSITION, CASE_EVENTS, partition_of(case_id)):
            if first == "replay":
                replaying = replay(city, service, letter)
                await blocked(city, service, 1)
                await go_on()
            else:
                await go_on()
                await blocked(city, service, 1)
                replaying = replay(city, service, letter)
            await blocked(city, service, 2)
    assert (await replaying).json() == {"id": letter, "replayed": True}
    await read_up_to(city, service, case_id, 7)
    assert await parked(city, service, case_id) == []
    again = await replay(city, service, letter)
    assert again.status_code == 409


# --- rebuilding -------------------------------------------------------------------------


@pytest.fixture
def rebuilding(stack: Stack, as_started: Callable[[str], None]) -> Callable[..., Any]:
    as_started("metrics")

    async def run(*, verify: bool = False) -> Outcome:
        return await rebuild(RebuildSettings(), verify=verify, progress=io.StringIO())

    return run


@pytest.mark.parametrize("first", ["event", "swap"])
async def test_rebuilds_swap_and_a_live_event(
    city: City, rebuilding: Callable[..., Any], first: str
) -> None:
    """The event is in the new table, whether it was applied before the swap or waited for it."""
    await city.import_network()
    case_id = await city.new_case(f"swap-{uuid.uuid4()}")
    await read_up_to(city, "metrics", case_id, 2)
    async with holding(city, "metrics", POSITION, CASE_EVENTS, partition_of(case_id)):
        if first == "event":
            assert (await city.act(case_id, "accept")).is_success
            await blocked(city, "metrics", 1)
        swapping = asyncio.create_task(rebuilding())
        await blocked(city, "metrics", 1, application="metrics-rebuild")
        if first == "swap":
            assert (await city.act(case_id, "accept")).is_success
            await blocked(city, "metrics", 1)
    outcome: Outcome = await swapping
    await read_up_to(city, "metrics", case_id, 3)
    database = await city.database("metrics")
    assert await database.fetchval("SELECT state FROM fact WHERE case_id = $1", case_id) == (
        "accepted"
    )
    verified: Outcome = await rebuilding(verify=True)
    assert verified.differing == []
    assert verified.events >= outcome.events + (1 if first == "swap" else 0)


async def test_the_books_balance_after_these(stack: Stack, city: City) -> None:
    code, document = await audit(stack.home.root)
    assert code == 0, [each for each in document["lines"] if not each["balanced"]]
