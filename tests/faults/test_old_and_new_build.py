"""The build before this issue and this one share databases and topics, under load, both orders.

At the end the books balance, with every receipt that either of them gave.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from tests.support.city import City, figure
from tests.support.city.own import own_environment
from tests.support.previous_build import StackOfTwoBuilds, checked_out
from tests.support.traffic import steady_traffic

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial,
    pytest.mark.kind(name="builds"), pytest.mark.timeout(420),
]  # fmt: skip

OLD_BUILD: Final = "1a9898ef7395ef1d90b164a93a3821c69fc10cb6"
CASES_MORE: Final = 100
WITHIN_SECONDS: Final = 90.0


@pytest.fixture
async def both(stack: Stack, tmp_path: Path) -> AsyncIterator[StackOfTwoBuilds]:
    """A stack without services, and the old build's tree."""
    older = checked_out(OLD_BUILD, tmp_path / "old")
    environment = await asyncio.to_thread(own_environment, stack)
    running = StackOfTwoBuilds(tmp_path / "home", older, environment)
    await asyncio.to_thread(running.start)
    try:
        yield running
    finally:
        await asyncio.to_thread(running.stop)


async def city_of(both: StackOfTwoBuilds) -> City:
    return City(both.endpoints.model_dump(mode="json", by_alias=True))


async def goes_on(city: City) -> None:
    """Wait until so many more cases have been registered, and some more acted on."""
    before = await cases(city)
    wanted = before["all"] + CASES_MORE

    async def more() -> bool:
        now = await cases(city)
        return now["all"] >= wanted and acted_on(now) > acted_on(before)

    try:
        await city.until(more, f"{CASES_MORE} cases more", WITHIN_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {before} then, {await cases(city)} now") from error


def acted_on(counted: Counter[str]) -> int:
    return counted["all"] - counted["dispatched"] - counted["registered"] - counted["unplaced"]


async def cases(city: City) -> Counter[str]:
    """How many there are in each state."""
    # Not the city's own connection: the traffic uses that.
    dispatch = await asyncpg.connect(city.endpoints["databases"]["dispatch"])
    try:
        rows = await dispatch.fetch('SELECT state, count(*) FROM "case" GROUP BY state')
    finally:
        await dispatch.close()
    counted = Counter({row["state"]: row["count"] for row in rows})
    return counted + Counter(all=counted.total())


async def both_take_part(city: City, both: StackOfTwoBuilds) -> None:
    """Wait until every process of either build has partitions to read."""
    urls = [url for each in SERVICES for url in both.endpoints.admin[each]]
    assert len(urls) == 2 * len(SERVICES)

    async def all_do() -> bool:
        return all([await assigned(city, url) for url in urls])

    await city.until(all_do, "part for either build", WITHIN_SECONDS)


async def assigned(city: City, url: str) -> float:
    try:
        answer = await city.http.get(f"{url}/metrics")
    except httpx.TransportError:
        return 0
    return figure(answer.text, "lastmetre_assigned_partitions")


async def test_the_new_build_takes_over_from_the_old_one(
    both: StackOfTwoBuilds, tmp_path: Path
) -> None:
    both.start_old()
    async with (
        await city_of(both) as city,
        steady_traffic(both, city, tmp_path / "receipts"),
    ):
        await goes_on(city)
        await asyncio.to_thread(both.set_scale, dict.fromkeys(SERVICES, 1))
        await both_take_part(city, both)
        await goes_on(city)
        ended = await asyncio.to_thread(both.stop_old)
        assert ended == dict.fromkeys(SERVICES, 0)
        await goes_on(city)


async def test_the_old_build_comes_beside_the_new_one_and_is_gone_back_to(
    both: StackOfTwoBuilds, tmp_path: Path
) -> None:
    await asyncio.to_thread(both.set_scale, dict.fromkeys(SERVICES, 1))
    async with (
        await city_of(both) as city,
        steady_traffic(both, city, tmp_path / "receipts"),
    ):
        await goes_on(city)
        both.start_old()
        await both_take_part(city, both)
        await goes_on(city)
        await asyncio.to_thread(both.set_scale, dict.fromkeys(SERVICES, 0))
        await goes_on(city)
        # And forward again, at last: the audit is of the new build.
        await asyncio.to_thread(both.set_scale, dict.fromkeys(SERVICES, 1))
        await asyncio.to_thread(both.stop_old)
        await goes_on(city)


def test_a_history_that_does_not_reach_so_far_back_fails_with_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not in this clone's history"):
        checked_out("0" * 40, tmp_path)
