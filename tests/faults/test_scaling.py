"""Several processes of each service share the work; one is killed and another takes over.

Reports and what follows flow all the while, and at the end the books balance.
"""

import asyncio
import os
import signal
import time
import uuid
from collections import Counter

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.audit.cut import READERS
from cli.audit.receipts import Receipt
from cli.stack import Stack
from common.contracts.topics import PARTITIONS, SERVICES
from tests.support import books
from tests.support.city import City
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.fault, pytest.mark.slow]

WITHIN_SECONDS = 90.0
ASSIGNED = "lastmetre_assigned_partitions"
CONSUMED = "lastmetre_records_consumed_total"
PARTITIONS_OF = {
    service: Counter({flow: n * PARTITIONS for flow, n in Counter(readers.values()).items()})
    for service, readers in READERS.items()
}


async def figures(city: City, url: str, name: str) -> dict[str, int]:
    """What a process says of each of its flows; nothing if it does not answer."""
    try:
        answer = await city.http.get(f"{url}/metrics")
    except httpx.TransportError:
        return {}
    return {
        sample.labels["flow"]: int(sample.value)
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name
    }


async def shares(city: City, stack: Stack, service: str) -> list[dict[str, int]]:
    """The partitions of each flow that each process of the service has."""
    urls = stack.endpoints.instances[service]
    return list(await asyncio.gather(*(figures(city, url, ASSIGNED) for url in urls)))


async def share_everything(city: City, stack: Stack) -> None:
    """Wait until every process has part of every flow, and together they have all; print it."""
    for service in SERVICES:

        async def shared(service: str = service) -> list[dict[str, int]]:
            found = await shares(city, stack, service)
            total = sum((Counter(each) for each in found), Counter())
            fair = all(each.get(flow, 0) > 0 for each in found for flow in total)
            return found if fair and total == PARTITIONS_OF[service] else []

        found = await city.until(shared, f"part of {service} for each", WITHIN_SECONDS)
        for flow in PARTITIONS_OF[service]:
            split = " + ".join(str(each[flow]) for each in found)
            print(f"{len(found)} × {service}: {flow} {split} partitions")


async def consume(city: City, stack: Stack, service: str, process: int, flow: str) -> None:
    """Wait until the process commits records that it has not committed now."""
    url = stack.endpoints.instances[service][process]
    before = (await figures(city, url, CONSUMED)).get(flow, 0)

    async def moved() -> bool:
        return (await figures(city, url, CONSUMED)).get(flow, 0) > before

    await city.until(moved, f"record of {flow} in {service}-{process}", WITHIN_SECONDS)


MAIN_FLOWS = {
    "intake": "channels",
    "dispatch": "requests",
    "notify": "cases",
    "metrics": "cases",
}


async def everybody_works(city: City, stack: Stack) -> None:
    """Wait until every process commits records of its service's main flow."""
    await asyncio.gather(
        *(
            consume(city, stack, service, process, MAIN_FLOWS[service])
            for service in SERVICES
            for process in range(len(stack.endpoints.instances[service]))
        )
    )


async def scale(stack: Stack, count: int) -> None:
    for service in SERVICES:
        await asyncio.to_thread(stack.set_scale, service, count)


async def take_over(city: City, stack: Stack) -> None:
    """Kill the second process of each service, and see the first one do all of it."""
    pids = {service: stack.pid(service, 1) for service in SERVICES}
    supervisor = stack.pid("supervisord")
    # Frozen, it starts nothing again: so the others have to do it.
    os.kill(supervisor, signal.SIGSTOP)
    try:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()

        async def taken_over(service: str) -> None:
            async def everything() -> bool:
                mine = (await shares(city, stack, service))[0]
                return Counter(mine) == PARTITIONS_OF[service]

            await city.until(everything, f"taking over in {service}", WITHIN_SECONDS)
            print(f"{service}-0 took over after {time.monotonic() - killed_at:.1f} s")
            await consume(city, stack, service, 0, MAIN_FLOWS[service])

        await asyncio.gather(*(taken_over(service) for service in SERVICES))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    for service in SERVICES:
        await asyncio.to_thread(stack.wait_ready, service, 1)


@pytest.mark.timeout(600)
async def test_processes_share_the_work_and_take_over(stack: Stack, city: City) -> None:
    await city.import_network()
    traffic = Traffic(city, lambda service: stack.endpoints.instances[service])
    working = [
        asyncio.create_task(traffic.report(f"scale-{uuid.uuid4()}", a_turn=20, pause=0.4)),
        asyncio.create_task(traffic.handle(pause=0.5)),
    ]
    try:
        await scale(stack, 2)
        await share_everything(city, stack)
        await everybody_works(city, stack)
        await take_over(city, stack)
        await scale(stack, 3)
        await share_everything(city, stack)
        await everybody_works(city, stack)
        await scale(stack, 1)
        await share_everything(city, stack)
        await everybody_works(city, stack)
    finally:
        traffic.enough.set()
        await asyncio.gather(*working)
        await scale(stack, 1)
    print(f"{len(traffic.receipts)} reports, {traffic.asked} steps, {traffic.rated} ratings")
    assert len(set(traffic.receipts)) == len(traffic.receipts)
    left = await books.quiet(stack.endpoints, WITHIN_SECONDS)
    assert not left, left
    balance = await books.balance(
        stack.endpoints, stack.home.outbox, [Receipt(receipt=each) for each in traffic.receipts]
    )
    assert [line.document() for line in balance if not line.balanced] == []
