"""The limits of the public forms, on a real database and over HTTP."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from lastmetre.common.postgres.migrate import migrate
from lastmetre.devstack import Stack
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.domain.attempts import Limit, PublicLimits
from tests.support.city import IntakeAlone
from tests.support.databases import fresh_database

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 7, 20, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


class Clock:
    at = NOW

    def now(self) -> datetime:
        return self.at


def limits(find: int, by_client: int, by_number: int) -> PublicLimits:
    most = (find, by_client, by_number, 1, 1, 1, 1, 1)
    named = zip(PublicLimits._fields, most, strict=True)
    return PublicLimits(*(Limit(name, each, QUARTER) for name, each in named))


@pytest.fixture
async def pool(stack: Stack) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    url = await asyncio.to_thread(fresh_database, stack, "intake")
    await migrate(url, ("intake",))
    async with asyncpg.create_pool(url, min_size=0, max_size=10) as opened:
        yield opened


def counter(pool: "asyncpg.Pool[asyncpg.Record]", clock: Clock) -> AttemptCounter:
    return AttemptCounter(lambda: pool, lambda body: hashlib.sha256(body).digest(), clock)


async def test_what_is_asked_at_once_is_counted_at_once(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """By two processes; no more than the limit ever looks."""
    both = counter(pool, Clock()), counter(pool, Clock())
    asked = limits(1000, 1000, 5).finding("203.0.113.7", "261122-0418583")
    answers = await asyncio.gather(*(both[at % 2].reserve(asked) for at in range(100)))
    assert Counter(each and each.kind for each in answers) == {None: 5, "find_by_number": 95}


async def test_numbers_that_are_tried_through_are_counted_by_client_and_in_all(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    clock = Clock()
    counted, of = counter(pool, clock), limits(30, 20, 5)
    one = [await counted.reserve(of.finding("203.0.113.7", f"261122-{n:07}")) for n in range(22)]
    assert [each and each.kind for each in one] == [None] * 20 + ["find_by_client"] * 2
    many = [
        await counted.reserve(of.finding(f"203.0.113.{n}", f"261122-{n:07}"))
        for n in range(100, 112)
    ]
    # What the one was refused hits no other.
    assert [each and each.kind for each in many] == [None] * 10 + ["find"] * 2
    rows = await pool.fetchval("SELECT count(*) FROM attempt")
    assert rows == 1 + 1 + 20 + 10 * 2, "numbers invented behind a limit cost no rows"
    clock.at = NOW + QUARTER
    assert await counted.reserve(of.finding("203.0.113.7", "261122-0000001")) is None
    clock.at = NOW + timedelta(hours=3)
    await counted.reserve(of.finding("203.0.113.7", "261122-0000001"))
    assert await pool.fetchval("SELECT count(*) FROM attempt") == 3, "what is over is forgotten"


async def test_what_came_off_counts_no_more(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    counted = counter(pool, Clock())
    asked = limits(5, 5, 5).finding("203.0.113.7", "261122-0418583")
    for _ in range(20):
        assert await counted.reserve(asked) is None
        await counted.release(asked)
    kept = {bytes(row[0]) for row in await pool.fetch("SELECT counted FROM attempt")}
    assert not any(b"203.0.113.7" in each or b"0418" in each for each in kept)


async def test_the_form_writes_to_nobody_without_end(intake_city: IntakeAlone) -> None:
    def form(phone: str) -> dict[str, str]:
        return {"source_id": str(uuid4()), "text": "井盖坏了", "address": "书院巷", "phone": phone}

    async with intake_city.running() as city:
        running = await city.start(INTAKE_FORMS_PER_CONTACT="3", INTAKE_FORMS_PER_CLIENT="6")
        async with running.client() as client:
            spelled = [
                "13800138000",
                "138 0013 8000",
                "+86 13800138000",
                "０１３８００１３８０００",
            ]
            answers = [await client.post("/report", data=form(each)) for each in spelled[:3]]
            assert [each.status_code for each in answers] == [303] * 3
            fourth = await client.post("/report?lang=en", data=form("13800138000"))
            assert fourth.status_code == 429
            assert int(fourth.headers["Retry-After"]) == 3600
            assert "Please leave it out" in fourth.text
            assert "井盖坏了" in fourth.text
            assert (await client.post("/report", data=form(""))).status_code == 303
            assert (await client.post("/report", data=form("13900139000"))).status_code == 303
            # The fourth was sent to nobody, and counts for nobody else's limit.
            assert (await client.post("/report", data=form(""))).status_code == 303
            eighth = await client.post("/report?lang=en", data=form(""))
            assert eighth.status_code == 429
            assert "Very many reports" in eighth.text
        assert await city.until_read() == Counter(accepted=6)


async def test_another_site_sends_no_form(intake_city: IntakeAlone) -> None:
    async with intake_city.running() as city:
        running = await city.start()
        async with running.client() as client:
            for headers in (
                {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
                {"Origin": "http://evil.example"},
                {"Origin": "null"},
            ):
                for path, form in (
                    ("/report", {"text": "x", "address": "y", "phone": "13800138000"}),
                    ("/progress", {"number": "261122-0418583", "tail": "8000"}),
                ):
                    answer = await client.post(path, data=form, headers=headers)
                    assert answer.status_code == 403, (path, headers)
        assert await city.fetch("SELECT 1 FROM attempt") == []
