"""Faults that are told, not drawn: each one finding of the review."""

import asyncio
from collections.abc import Callable, Sequence

from lastmetre.common.contracts.topics import CASE_EVENTS, dead_letter_topic
from lastmetre.common.kafka.codec import packed
from lastmetre.common.kafka.ports import TopicPartition
from tests.simulation import broker as broker_module
from tests.simulation import store as store_module
from tests.simulation.city import City
from tests.simulation.faults import Fault


def read_only_for_a_while(city: City) -> Sequence[Fault]:
    """C1: every transaction of a service raises an error that is on no list; then all is well."""

    async def fault(city: City) -> None:
        for store in (city.dispatch, city.notify):
            store.trouble = store_module.Trouble(at_statement=1.0, kind=0)
        await asyncio.sleep(6.0)
        for store in (city.dispatch, city.notify):
            store.trouble = store_module.Trouble()

    return [fault]


def many_rebalances(city: City) -> Sequence[Fault]:
    """C2: twenty of them, with a database that answers slowly and a broker that commits nothing."""

    async def fault(city: City) -> None:
        for _ in range(20):
            for name in sorted(city.broker.groups):
                city.broker.groups[name].trigger()
            await asyncio.sleep(0.3 + city.random.random())

    return [fault]


def one_partition_without_a_leader(city: City) -> Sequence[Fault]:
    """C3, F3: dead letters cannot leave for a while; the ledger goes on at its usual pace."""

    async def fault(city: City) -> None:
        partitions = range(broker_module.PARTITIONS)
        dead = [TopicPartition(dead_letter_topic("dispatch"), p) for p in partitions]
        ledger = [TopicPartition(CASE_EVENTS, p) for p in partitions]
        for each in dead:
            city.broker.logs[each].has_leader = False
        for number in range(5):
            await city.partner.send_bad(f"flood{number}")
        await asyncio.sleep(25.0)
        records = [r for each in ledger for r in city.broker.logs[each].records]
        told = {(r.header("ce_id"), r.value) for r in records}
        if len(told) < len(records):
            city.world.complain(f"{len(records) - len(told)} records were repeated")
        if len(told) < len(city.accepted.good):
            city.world.complain(f"{len(city.accepted.good) - len(told)} events are held up")
        for each in dead:
            city.broker.logs[each].has_leader = True
            city.broker.logs[each].notify()

    return [fault]


def every_leader_away(city: City) -> Sequence[Fault]:
    """The broker is away for half a minute."""

    async def fault(city: City) -> None:
        for log in city.broker.logs.values():
            log.has_leader = False
        city.broker.trouble = broker_module.Trouble(no_answer=1.0)
        await asyncio.sleep(30.0)
        city.broker.trouble = broker_module.Trouble()
        for log in city.broker.logs.values():
            log.has_leader = True
            log.notify()

    return [fault]


def lost_answers(city: City) -> Sequence[Fault]:
    """What was appended and committed is told to have failed."""

    async def fault(city: City) -> None:
        city.broker.trouble = broker_module.Trouble(lost_answer=1.0)
        city.dispatch.trouble = store_module.Trouble(after_commit=1.0)
        await asyncio.sleep(4.0)
        city.broker.trouble = broker_module.Trouble()
        city.dispatch.trouble = store_module.Trouble()

    return [fault]


def an_unknown_event_type(city: City) -> Sequence[Fault]:
    """C6, F7: this build is too old for a record of the ledger."""

    async def fault(city: City) -> None:
        headers = packed({"ce_type": "lastmetre.case.teleported.v1"})
        city.broker.logs[TopicPartition(CASE_EVENTS, 0)].append([(b"x", headers, b"{}")])

    return [fault]


def records_of_a_forgotten_past(city: City) -> Sequence[Fault]:
    """The ledger's database goes back while what it had committed is still on its way: it arrives
    when others have caught up already, before or after what they write themselves."""

    async def fault(city: City) -> None:
        snapshot = city.dispatch.snapshot()
        city.snapshots_held += 1
        await asyncio.sleep(1.0 + 2.0 * city.random.random())
        city.broker.trouble = broker_module.Trouble(in_flight_seconds=30.0)
        await asyncio.sleep(2.0 * city.random.random())
        city.dispatch.restore(snapshot)
        city.broker.trouble = broker_module.Trouble()
        await asyncio.sleep(30.0)

    return [fault]


def single(kind: Fault, times: int = 1) -> Callable[[City], Sequence[Fault]]:
    """One kind of the drawn faults alone."""
    return lambda _: [kind] * times
