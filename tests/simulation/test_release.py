"""A stopped sender is released while faults strike: all that was held back, in order, and once."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from pydantic_core import from_json

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka import sender_release
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.writer_epochs import WriterEpochs
from tests.simulation import faults
from tests.simulation.city import City, simulate
from tests.simulation.faults import Fault

MENDED = [f"mended{number:02}" for number in range(60)]
PATIENCE = 200.0
FAULTS_OVER = 25.0
WITH: dict[str, list[Fault]] = {
    "nothing else": [],
    "crashes": [faults.process_dies] * 6,
    "lost commits": [faults.commits_fail] * 4,
    "refusals": [faults.database_refuses] * 3,
    "rebalances": [faults.rebalances] * 3,
    "frozen processes": [faults.process_is_frozen] * 4,
    "cut sessions": [faults.sessions_are_cut] * 4,
    "a database that goes back": [faults.database_goes_back],
}


def stopped(city: City) -> list[Sender]:
    """Whom the consumer of dispatch has stopped."""
    rows: dict[Any, Any] = city.dispatch.table("stopped_sender")
    return [sender for _, sender in rows]


async def flood_and_mend(city: City) -> None:
    """Bad records until their sender is stopped, then good ones, and a release beside them."""
    number = 0
    while not stopped(city):
        await city.partner.send_bad(f"flood{number}")
        number += 1
        await asyncio.sleep(0.1)
    releasing = asyncio.create_task(release_until_all_is_told(city))
    for identity in MENDED:
        await city.partner.send_good(identity)
        await asyncio.sleep(city.random.random() * 0.2)
    async with asyncio.timeout(PATIENCE):
        await releasing
    if (told := told_by_the_ledger(city)) != MENDED:
        city.world.complain(f"not in the order they were sent: {told}")


async def release_until_all_is_told(city: City) -> None:
    """As a person would: by any process, again after whatever went wrong, and once more where a
    database that went back has its sender stopped again."""
    await asyncio.sleep(2 + city.random.random() * 4)
    time = asyncio.get_running_loop().time
    while len(told_by_the_ledger(city)) < len(MENDED) or stopped(city) or time() < FAULTS_OVER:
        for sender in stopped(city):
            up = [p for p in city.processes if p.service.store is city.dispatch and p.consumer]
            if up:
                await asyncio.wait([city.random.choice(up).release(sender)], timeout=20)
        await asyncio.sleep(city.random.random())


def told_by_the_ledger(city: City) -> list[str]:
    """The mended records in the order of the ledger, repetitions of the relay dropped."""
    told: dict[str, None] = {}
    for partition, log in city.broker.logs.items():
        if partition.topic == CASE_EVENTS:
            actors: list[Any] = [
                from_json(each.value or b"")["actor"]["id"]
                for each in WriterEpochs().in_force(log.records)
            ]
            told.update(dict.fromkeys(each for each in actors if each in MENDED))
    return list(told)


def plan(others: list[Fault]) -> Callable[[City], list[Fault]]:
    return lambda _: [flood_and_mend, *others]


@pytest.mark.parametrize("fault", WITH)
def test_nothing_is_lost_doubled_or_out_of_order(fault: str) -> None:
    for seed in range(1, 7):
        with mock.patch.object(sender_release, "PORTION_RECORDS", 7):
            outcome = simulate(seed, plan=plan(WITH[fault]))
        assert outcome.wrong == [], f"seed {seed}"
