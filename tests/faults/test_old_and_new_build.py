"""The build before this issue and this one share databases and topics, under load: both orders, and
the runbook of docs/operations.md (Upgrade) with a rollback after half of it.

At the end the books balance, with every receipt that either of them gave.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.faults.rig.mail import HOST, MailServer
from tests.faults.rig.verdict import UNKNOWN_MESSAGES, sent_twice
from tests.support.city import City, figure
from tests.support.city.own import own_environment
from tests.support.commands import lastmetre
from tests.support.previous_build import REPOSITORY, StackOfTwoBuilds, checked_out
from tests.support.traffic import steady_traffic

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial,
    pytest.mark.kind(name="builds"), pytest.mark.timeout(420),
]  # fmt: skip

OLD_BUILD: Final = "1a9898ef7395ef1d90b164a93a3821c69fc10cb6"
CASES_MORE: Final = 100
WITHIN_SECONDS: Final = 90.0


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def both(stack: Stack, mail: MailServer, tmp_path: Path) -> AsyncIterator[StackOfTwoBuilds]:
    """A stack without services, and the old build's tree."""
    older = checked_out(OLD_BUILD, tmp_path / "old")
    environment = await asyncio.to_thread(own_environment, stack) | {
        "NOTIFY_SMTP_HOST": HOST,
        "NOTIFY_SMTP_PORT": str(mail.port),
        "NOTIFY_SMTP_STARTTLS": "false",
        "NOTIFY_RETRY_FIRST_SECONDS": "1",
        "NOTIFY_RETRY_LONGEST_SECONDS": "2",
    }
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


async def both_take_part(
    city: City, both: StackOfTwoBuilds, services: Sequence[str] = SERVICES
) -> None:
    """Wait until every process of either build has partitions to read."""
    urls = [url for each in services for url in both.endpoints.admin[each]]
    assert len(urls) == 2 * len(services)

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


def documented_order() -> list[str]:
    """Of the services, as the newest release says."""
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    said = re.search(r"\*\*In which order to deploy: ([a-z, ]+)\*\*", text)
    assert said
    order = said[1].split(", ")
    assert sorted(order) == sorted(SERVICES)
    return order


async def test_the_runbook_is_gone_by_and_half_of_it_is_taken_back(
    both: StackOfTwoBuilds, mail: MailServer, tmp_path: Path
) -> None:
    """Tables first, then service after service, the new build beside the old one each time."""
    order = documented_order()

    async def replace(service: str) -> None:
        await asyncio.to_thread(both.set_scale, {service: 1})
        await both_take_part(city, both, [service])
        assert await asyncio.to_thread(both.stop_old, service) == {service: 0}
        await goes_on(city)

    async def take_back(service: str) -> None:
        both.start_old(service)
        await both_take_part(city, both, [service])
        await asyncio.to_thread(both.set_scale, {service: 0})
        await goes_on(city)

    both.start_old()
    async with (
        await city_of(both) as city,
        steady_traffic(both, city, tmp_path / "receipts", mail=True),
    ):
        await goes_on(city)
        await lastmetre(both, "migrate", "--dry-run", code=1)
        await lastmetre(both, "migrate")
        await goes_on(city)
        half = order[: len(order) // 2]
        for service in half:
            await replace(service)
        for service in reversed(half):
            await take_back(service)
        for service in order:
            await replace(service)
        await lastmetre(both, "migrate", "--contract")
        await lastmetre(both, "migrate", "--dry-run")
        await goes_on(city)
    notify = await asyncpg.connect(both.endpoints.databases["notify"])
    try:
        unknown = await notify.fetch(UNKNOWN_MESSAGES)
    finally:
        await notify.close()
    assert mail.came
    assert sent_twice(mail.came, unknown) == []


def test_a_history_that_does_not_reach_so_far_back_fails_with_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not in this clone's history"):
        checked_out("0" * 40, tmp_path)
