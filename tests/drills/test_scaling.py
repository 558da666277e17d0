"""Services go from one process to three and back under two cities' reports: by hand, then by KEDA's
formula on the lag that they export. Nothing is lost or doubled, and the dashboard shows it."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import PARTITIONS, SERVICES
from lastmetre.devstack import Stack
from tests.deploy.rendering import named, rendered
from tests.integration.test_watched_city import panel_queries
from tests.support.city import City, inside
from tests.support.commands import lastmetre
from tests.support.prometheus import Prometheus, prometheus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHANNELS: Final = ("app", "hotline")
"""A city's reports come by each."""
REPORTS_OF_A_CITY: Final = 6000
AT_ONCE: Final = 500
LEAST, MOST = 1, 3
LOOKS: Final = 20
"""Fewer processes, once so many looks have wanted fewer: HPA's stabilisation window."""
ENDS_SECONDS: Final = 900.0
QUERIES: Final = dict(panel_queries())
LAG: Final = {each: QUERIES[f"service: Records that wait {each}"] for each in SERVICES}
SHARES: Final = {each: QUERIES[f"service: Partitions by process {each}"] for each in SERVICES}
BUSY: Final = {"intake": "channels", "dispatch": "requests", "notify": "cases", "metrics": "cases"}
TOGETHER: Final = {
    service: PARTITIONS * list(READERS[service].values()).count(BUSY[service])
    for service in SERVICES
}
"""The partitions that all processes of a service have of that consumer."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With a broker and a database of its own."""
    with Stack(tmp_path_factory.mktemp("scaling") / "home") as running:
        yield running


@pytest.fixture
async def asking(stack: Stack, city: City, tmp_path: Path) -> AsyncIterator[Prometheus]:
    """Reads every process that there may be."""
    further = [
        stack.admin_url(service, process).removeprefix("http://")
        for service in SERVICES
        for process in range(LEAST, MOST)
    ]
    async with prometheus(city, tmp_path, others=further) as opened:
        yield opened


def triggers() -> dict[str, dict[str, int]]:
    """The lag that one process is to have, by service and consumer, as the ScaledObjects say."""
    found: dict[str, dict[str, int]] = {}
    for service in SERVICES:
        spec = named(rendered("cluster"), "ScaledObject", service)["spec"]
        metadata = [each["metadata"] for each in spec["triggers"] if each["type"] == "kafka"]
        found[service] = {
            each["consumerGroup"].removeprefix(f"{service}."): int(each["lagThreshold"])
            for each in metadata
        }
    return found


def wanted(lag: Mapping[str, float], thresholds: Mapping[str, int]) -> int:
    """KEDA's number of processes: the most that any trigger wants, within limits."""
    most = max(math.ceil(lag.get(each, 0) / of_one) for each, of_one in thresholds.items())
    return min(max(most, LEAST), MOST)


class TwoCities:
    """Two cities' reports, each by a channel of its own, to the first process of intake, which
    there is at all times."""

    def __init__(self, stack: Stack, city: City, turn: str) -> None:
        self._address = f"{stack.url('intake', 0)}/channels/{{}}/reports"
        self._city = city
        self._turn = turn
        self._sent = 0
        self.receipts: list[str] = []

    @property
    def reports(self) -> int:
        """How many were sent."""
        return len(CHANNELS) * self._sent

    @asynccontextmanager
    async def burst(self) -> AsyncIterator[None]:
        """So many reports as quickly as they are taken; at the end of the block all have been."""
        began, before = time.monotonic(), len(self.receipts)
        first, self._sent = self._sent, self._sent + REPORTS_OF_A_CITY

        async def send(channel: str) -> None:
            for start in range(first, first + REPORTS_OF_A_CITY, AT_ONCE):
                await self._send(channel, range(start, start + AT_ONCE))

        async def send_all() -> None:
            await asyncio.gather(*map(send, CHANNELS))
            taken, seconds = len(self.receipts) - before, time.monotonic() - began
            print(f"{self._turn}: {taken} reports taken within {seconds:.1f} s")

        async with asyncio.TaskGroup() as sending:
            sending.create_task(send_all())
            yield

    async def another_each(self) -> None:
        """One more report of each city, taken when this returns."""
        number, self._sent = self._sent, self._sent + 1
        for channel in CHANNELS:
            await self._send(channel, range(number, number + 1))

    async def _send(self, channel: str, numbers: range) -> None:
        items = [
            {
                "source_id": f"{self._turn}-{channel}-{number}",
                "text": "井盖松动",
                "position": inside(number % 3),
            }
            for number in numbers
        ]

        async def taken() -> list[str]:
            try:
                answer = await self._city.http.post(
                    self._address.format(channel),
                    json=items,
                    headers=self._city.credentials.channel(channel),
                )
            except httpx.TransportError:
                return []
            assert answer.status_code in (202, 503), answer.text
            return [each["receipt"] for each in answer.json().get("items", [])]

        self.receipts.extend(await self._city.until(taken, "reports taken", ENDS_SECONDS))


async def lag_of(asking: Prometheus, service: str) -> dict[str, float]:
    """Records that wait, by consumer, as the dashboard asks for them."""
    return {each["consumer"]: value for each, value in await asking.asked(LAG[service])}


async def all_is_handled(city: City, asking: Prometheus) -> None:
    """Wait until the dashboard shows that nothing waits; prints how long that took."""
    began = time.monotonic()

    async def nothing_waits() -> bool:
        lags = [await lag_of(asking, service) for service in SERVICES]
        return all(each and not any(each.values()) for each in lags)

    await city.until(nothing_waits, "end of the lag", ENDS_SECONDS)
    print(f"nothing waits after {time.monotonic() - began:.0f} s")


async def shared_by(city: City, asking: Prometheus, processes: int) -> None:
    """Wait until the dashboard shows so many processes of each, each with its part; prints how
    long that took."""
    began = time.monotonic()

    async def shared() -> bool:
        for service, query in SHARES.items():
            found = [
                v for each, v in await asking.asked(query) if each["consumer"] == BUSY[service]
            ]
            if len(found) != processes or not all(found) or sum(found) != TOGETHER[service]:
                return False
        return True

    await city.until(shared, f"share of each of {processes}", ENDS_SECONDS)
    print(f"shared by {processes} of each after {time.monotonic() - began:.0f} s")


class Scaler:
    """The loop: what KEDA does every `pollingInterval`, and HPA with what it says."""

    def __init__(self, stack: Stack, asking: Prometheus) -> None:
        self._stack = stack
        self._asking = asking
        self._triggers = triggers()
        self._looks: dict[str, list[int]] = {each: [] for each in SERVICES}
        self.count = dict.fromkeys(SERVICES, LEAST)
        self.most = dict.fromkeys(SERVICES, LEAST)
        self.peak = dict.fromkeys(SERVICES, 0.0)

    async def look(self) -> None:
        """Ask for the lag of each service, and change how many processes it has."""
        changes: dict[str, int] = {}
        for service in SERVICES:
            lag = await lag_of(self._asking, service)
            self.peak[service] = max([self.peak[service], *lag.values()])
            self._looks[service] = [*self._looks[service], wanted(lag, self._triggers[service])][
                -LOOKS:
            ]
            now = max(self._looks[service])
            if now != self.count[service]:
                changes[service] = now
        if changes:
            print(f"scaled: {changes}")
            self.count |= changes
            self.most = {each: max(self.most[each], self.count[each]) for each in SERVICES}
            await asyncio.to_thread(self._stack.set_scale, changes)

    @property
    def at_rest(self) -> bool:
        """Whether every service has as few processes as it may have."""
        return set(self.count.values()) == {LEAST}


@pytest.mark.parametrize(
    ("lag", "processes"),
    [({}, 1), ({"a": 2000}, 1), ({"a": 2001}, 2), ({"a": 1, "b": 5001}, 2), ({"a": 9e9}, 3)],
)
def test_the_formula(lag: dict[str, float], processes: int) -> None:
    assert wanted(lag, {"a": 2000, "b": 5000}) == processes


async def test_one_three_one(stack: Stack, city: City, asking: Prometheus, tmp_path: Path) -> None:
    await city.import_network()
    by_hand = TwoCities(stack, city, "by-hand")
    async with by_hand.burst():
        await asyncio.to_thread(stack.set_scale, dict.fromkeys(SERVICES, MOST))
        await shared_by(city, asking, MOST)
    before = by_hand.reports
    down = asyncio.create_task(asyncio.to_thread(stack.set_scale, dict.fromkeys(SERVICES, LEAST)))
    while not down.done():
        await by_hand.another_each()
    await down
    print(f"by-hand: {by_hand.reports - before} reports taken while processes ended")
    assert by_hand.reports > before
    await all_is_handled(city, asking)
    ended = [(service, process) for service in SERVICES for process in range(LEAST, MOST)]
    assert [each for each in ended if stack.exit_status(*each) != 0] == []

    scaler = Scaler(stack, asking)
    by_lag = TwoCities(stack, city, "by-lag")
    async with by_lag.burst():

        async def scaled_up() -> bool:
            await scaler.look()
            return scaler.most["intake"] == MOST

        await city.until(scaled_up, "three processes of intake", ENDS_SECONDS)
    before = by_lag.reports

    async def scaled_down() -> bool:
        await by_lag.another_each()
        await scaler.look()
        return scaler.at_rest

    await city.until(scaled_down, "one process of each", ENDS_SECONDS)
    print(f"by-lag: {by_lag.reports - before} reports taken while processes ended")
    await all_is_handled(city, asking)
    print(f"most processes {scaler.most}, highest lag {scaler.peak}")
    for service, query in LAG.items():
        # What Prometheus has kept of it, as a graph of the dashboard shows it.
        [highest] = await asking.asked(f"max(max_over_time(({query})[30m:1s]))")
        assert highest[1] >= scaler.peak[service]
    assert scaler.peak["intake"] > triggers()["intake"]["channels"] * (MOST - 1)

    every = by_hand.receipts + by_lag.receipts
    assert len(set(every)) == by_hand.reports + by_lag.reports
    receipts = tmp_path / "receipts"
    receipts.write_text("\n".join(every), "utf-8")
    await lastmetre(stack, "audit", "--receipts", receipts)
