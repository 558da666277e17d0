"""Limits to what anybody may do without a credential."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from lastmetre.intake.application import count_attempts as attempts_module
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.domain.attempts import Attempt, Limit, PublicLimits, client_of

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 22, 7, 20, tzinfo=UTC)


def limits(most: int) -> PublicLimits:
    return PublicLimits(*(Limit(name, most, HOUR) for name in PublicLimits._fields))


class MovedClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


def no_database() -> object:
    raise ConnectionRefusedError


def counter(clock: MovedClock) -> AttemptCounter:
    def digest(body: bytes) -> bytes:
        return hashlib.sha256(body).digest()

    return AttemptCounter(no_database, digest, clock)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window", "begins"),
    [(timedelta(minutes=15), NOW.replace(minute=15)), (HOUR, NOW.replace(minute=0))],
)
def test_windows_are_those_of_the_clock(window: timedelta, begins: datetime) -> None:
    assert Limit("x", 1, window).window_at(NOW) == begins


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_one_who_has_many_addresses_is_one_client(host: str | None, client: str) -> None:
    assert client_of(host) == client


def test_who_is_counted_for_what() -> None:
    asked = limits(5).finding("203.0.113.7", "261122-0418583")
    assert [(each.limit.kind, each.about) for each in asked] == [
        ("find", ""), ("find_by_client", "203.0.113.7"), ("find_by_number", "261122-0418583"),
    ]  # fmt: skip
    sent = limits(5).reporting("203.0.113.7", ["+8613800138000", "a@example.org"])
    assert [(each.limit.kind, each.about) for each in sent] == [
        ("form", ""), ("form_by_client", "203.0.113.7"),
        ("form_by_contact", "+8613800138000"), ("form_by_contact", "a@example.org"),
    ]  # fmt: skip


def test_without_the_database_the_form_is_counted_here() -> None:
    async def trial() -> None:
        clock = MovedClock()
        counted = counter(clock)
        attempts = limits(3).reporting("203.0.113.7", ["+8613800138000"])
        answers = [await counted.reserve_even_without_database(attempts) for _ in range(5)]
        assert [each and each.kind for each in answers] == [None, None, None, "form", "form"]
        clock.at += HOUR
        assert await counted.reserve_even_without_database(attempts) is None

    asyncio.run(trial())


def test_without_the_database_one_client_passes_no_limit_of_all() -> None:
    async def trial() -> None:
        counted = counter(MovedClock())
        of_all, of_one = Limit("form", 3, HOUR), Limit("form_by_client", 2, HOUR)

        async def send(client: str) -> Limit | None:
            attempts = [Attempt(of_all), Attempt(of_one, client)]
            return await counted.reserve_even_without_database(attempts)

        assert [await send("one") for _ in range(9)] == [None, None] + [of_one] * 7
        assert [await send("another"), await send("a third")] == [None, of_all]

    asyncio.run(trial())


def test_without_the_database_what_came_off_counts_no_more() -> None:
    async def trial() -> None:
        counted = counter(MovedClock())
        attempts = limits(2).reporting("203.0.113.7", [])
        for _ in range(5):
            assert await counted.reserve_even_without_database(attempts) is None
            await counted.release_even_without_database(attempts)

    asyncio.run(trial())


def test_without_the_database_memory_has_a_limit_and_refuses_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts_module, "COUNTED_WITHOUT_DATABASE", 100)

    async def trial() -> None:
        clock = MovedClock()
        counted = counter(clock)
        limit = Limit("form_by_contact", 1, HOUR)
        for number in range(100):
            await counted.reserve_even_without_database([Attempt(limit, str(number))])
        assert await counted.reserve_even_without_database([Attempt(limit, "one more")]) == limit
        clock.at += 3 * HOUR
        assert await counted.reserve_even_without_database([Attempt(limit, "one more")]) is None

    asyncio.run(trial())


def test_a_look_up_is_not_made_without_the_count() -> None:
    async def trial() -> None:
        with pytest.raises(ConnectionRefusedError):
            await counter(MovedClock()).reserve(limits(3).finding("203.0.113.7", "261122-0418583"))

    asyncio.run(trial())
