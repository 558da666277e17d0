"""Several processes of each service share the work, one dies and another takes over, one that is
told to stop finishes what it holds: reports and what follows flow all the while."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import PARTITIONS, SERVICES
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.traffic import steady_traffic

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.choice,
    pytest.mark.kind(name="scaling"),
]  # fmt: skip

WITHIN_SECONDS: Final = 90.0
ASSIGNED: Final = "lastmetre_assigned_partitions"
CONSUMED: Final = "lastmetre_records_consumed_total"
PARTITIONS_OF: Final[Mapping[str, Counter[str]]] = {
    service: Counter({flow: n * PARTITIONS for flow, n in Counter(topics.values()).items()})
    for service, topics in READERS.items()
}
BUSY_FLOW: Final = {
    "intake": "channels", "dispatch": "requests", "notify": "cases", "metrics": "cases",
}  # fmt: skip
"""Has records to read as long as reports come in."""


async def figures(city: City, stack: Stack, service: str, process: int, name: str) -> Counter[str]:
    """What a process says of each of its flows; nothing if it does not answer."""
    url = stack.endpoints.admin[service][process]
    try:
        answer = await city.http.get(f"{url}/metrics")
    except httpx.TransportError:
        return Counter()
    return Counter(
        {
            sample.labels["consumer"]: int(sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name
        }
    )


async def work_is_shared(city: City, stack: Stack) -> None:
    """Wait until every process has part of every flow and works, and together they have all."""
    await asyncio.gather(*(each_works(city, stack, service) for service in SERVICES))


async def each_works(city: City, stack: Stack, service: str) -> None:
    processes = range(len(stack.endpoints.instances[service]))

    async def shared() -> list[Counter[str]]:
        found = [await figures(city, stack, service, n, ASSIGNED) for n in processes]
        fair = all(each[flow] for each in found for flow in PARTITIONS_OF[service])
        return found if fair and sum(found, Counter()) == PARTITIONS_OF[service] else []

    found = await city.until(shared, f"part of {service} for each", WITHIN_SECONDS)
    for flow in PARTITIONS_OF[service]:
        print(f"{service}.{flow}: {' + '.join(str(each[flow]) for each in found)} partitions")
    await asyncio.gather(*(works(city, stack, service, n) for n in processes))


async def works(city: City, stack: Stack, service: str, process: int) -> None:
    """Wait until it has committed records that it had not when we came."""
    flow = BUSY_FLOW[service]
    before = await figures(city, stack, service, process, CONSUMED)

    async def moved() -> bool:
        return (await figures(city, stack, service, process, CONSUMED))[flow] > before[flow]

    await city.until(moved, f"record of {flow} in {service}-{process}", WITHIN_SECONDS)


async def first_takes_over(city: City, stack: Stack) -> None:
    """Kill the second process of each service, and see the first one do all of its work."""
    supervisor = stack.pid("supervisord")
    second = [stack.pid(service, 1) for service in SERVICES]
    # Frozen, it starts nobody again: so the others have to do it.
    os.kill(supervisor, signal.SIGSTOP)
    try:
        for pid in second:
            os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()

        async def taken_over(service: str) -> None:
            async def everything() -> bool:
                return await figures(city, stack, service, 0, ASSIGNED) == PARTITIONS_OF[service]

            await city.until(everything, f"taking over in {service}", WITHIN_SECONDS)
            print(f"{service}-0 took over after {time.monotonic() - killed_at:.1f} s")
            await works(city, stack, service, 0)

        await asyncio.gather(*(taken_over(service) for service in SERVICES))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    await asyncio.gather(*(asyncio.to_thread(stack.wait_ready, each, 1) for each in SERVICES))


async def scale(stack: Stack, count: int) -> None:
    await asyncio.to_thread(stack.set_scale, dict.fromkeys(SERVICES, count))


async def all_finish_what_they_hold(city: City, stack: Stack) -> None:
    """Stop all four at once, so each is under load; who dawdled would be killed, which is no 0."""
    await asyncio.gather(*(asyncio.to_thread(stack.stop_process, each) for each in SERVICES))
    for service in SERVICES:
        assert stack.exit_status(service) == 0, service
        database = await city.database(service)
        assert await database.fetchval("SELECT count(*) FROM outbox") == 0, service
    await asyncio.gather(*(asyncio.to_thread(stack.start_process, each) for each in SERVICES))


async def test_processes_share_the_work_take_over_and_drain(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    try:
        async with steady_traffic(stack, city, tmp_path / "receipts"):
            await scale(stack, 2)
            await work_is_shared(city, stack)
            await first_takes_over(city, stack)
            await scale(stack, 3)
            await work_is_shared(city, stack)
            await scale(stack, 1)
            ended = [(service, n) for service in SERVICES for n in (1, 2)]
            assert [each for each in ended if stack.exit_status(*each) != 0] == []
            await work_is_shared(city, stack)
            await all_finish_what_they_hold(city, stack)
            await work_is_shared(city, stack)
    finally:
        await scale(stack, 1)
