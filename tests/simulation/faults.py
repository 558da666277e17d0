"""The faults that may strike, each for a while; `Faults` names them, a run draws some."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from tests.simulation import broker as broker_module
from tests.simulation import store as store_module
from tests.simulation.service import CHANNEL

if TYPE_CHECKING:
    from tests.simulation.city import City

Fault = Callable[["City"], Awaitable[None]]


async def _during(city: "City", longest: float) -> None:
    await asyncio.sleep(0.2 + city.random.random() * longest)


async def database_refuses(city: "City") -> None:
    """Every statement, or some, raises one class of error, listed anywhere or not."""
    store = city.any_store()
    share = city.random.choice((0.1, 0.5, 1.0))
    kind = city.random.randrange(len(store_module.UNLISTED))
    store.trouble = store_module.Trouble(at_connect=share / 2, at_statement=share, kind=kind)
    await _during(city, 8.0)
    store.trouble = store_module.Trouble()


async def commits_fail(city: "City") -> None:
    """Commits raise, before or after they took effect."""
    store = city.any_store()
    store.trouble = store_module.Trouble(
        before_commit=city.random.random() * 0.5, after_commit=city.random.random()
    )
    await _during(city, 8.0)
    store.trouble = store_module.Trouble()


async def process_dies(city: "City") -> None:
    """kill -9."""
    city.any_process().die()


async def process_is_told_to_end(city: "City") -> None:
    """SIGTERM."""
    city.any_process().terminate()


async def process_is_frozen(city: "City") -> None:
    """Its partitions go to others, while it still believes to own them."""
    process = city.any_process()
    process.freeze()
    await _during(city, 12.0)
    process.thaw()


async def sessions_are_cut(city: "City") -> None:
    """A process loses its connections, and with them the locks of its relay."""
    city.any_process().cut_sessions()


async def background_work_fails(city: "City") -> None:
    """By an error that nobody foresaw."""
    city.any_service().unforeseen.set()


async def rebalances(city: "City") -> None:
    """One after the other, for no reason."""
    groups = sorted(city.broker.groups)
    for _ in range(city.random.randint(1, 5)):
        if groups:
            city.broker.groups[city.random.choice(groups)].trigger()
        await _during(city, 1.5)


async def partitions_lose_their_leader(city: "City") -> None:
    """Some, or all."""
    logs = list(city.broker.logs)
    chosen = city.random.sample(logs, city.random.choice((1, 1, 2, len(logs))))
    for each in chosen:
        city.broker.logs[each].has_leader = False
    await _during(city, 15.0)
    for each in chosen:
        city.broker.logs[each].has_leader = True
        city.broker.logs[each].notify()


async def broker_errs(city: "City") -> None:
    """Lost answers, refusals, fetches that cannot be read."""
    city.broker.trouble = broker_module.Trouble(
        lost_answer=city.random.choice((0.0, 0.5, 1.0)),
        refused=city.random.choice((0.0, 0.3)),
        unreadable=city.random.choice((0.0, 0.2)),
        no_answer=city.random.choice((0.0, 0.3, 1.0)),
    )
    await _during(city, 8.0)
    city.broker.trouble = broker_module.Trouble()


async def marks_are_written(city: "City") -> None:
    """A partner's transactions leave offsets without a record."""
    for partition, log in city.broker.logs.items():
        if partition.topic == CHANNEL and city.random.random() < 0.7:
            log.append_mark()


async def database_goes_back(city: "City") -> None:
    """To a moment some seconds ago, while everything else goes on."""
    store = city.any_store()
    snapshot = store.snapshot()
    city.snapshots_held += 1
    await _during(city, 6.0)
    city.world.tell("restore", store=store.name)
    store.restore(snapshot)
    for process in list(city.processes):
        if process.service.store is store and city.restored_while_stopped:
            process.die()


async def channel_is_made_anew(city: "City") -> None:
    """The partner's topic is deleted and created, with what nobody had read."""
    channel = [log for each, log in city.broker.logs.items() if each.topic == CHANNEL]
    for log in channel:
        log.has_leader = False
    await _during(city, 3.0)
    known = {str(each) for each in city.dispatch.table("report")}
    for log in channel:
        for record in log.records:
            identity = (record.value or b"").decode().split(" ")[0]
            if identity not in known:
                city.accepted.may_be_lost.add(identity)
    city.world.tell("topic made anew")
    city.broker.recreate(CHANNEL, noticed=city.random.random() < 0.5)
    for log in channel:
        log.notify()


async def a_sender_floods(city: "City") -> None:
    """Nothing but bad records, from one sender."""
    for number in range(60):
        await city.partner.send_bad(f"flood{number}")


FAULTS: Final[Sequence[tuple[Fault, int]]] = (
    (database_refuses, 4),
    (commits_fail, 3),
    (process_dies, 4),
    (process_is_told_to_end, 2),
    (process_is_frozen, 3),
    (sessions_are_cut, 2),
    (background_work_fails, 1),
    (rebalances, 4),
    (partitions_lose_their_leader, 3),
    (broker_errs, 4),
    (marks_are_written, 2),
    (database_goes_back, 2),
    (a_sender_floods, 1),
)
"""With how often each is drawn. `channel_is_made_anew` strikes only where no database goes back."""


async def strike(city: "City", faults: Sequence[Fault], seconds: float) -> None:
    """Let each begin at a drawn moment; returns when all have ended."""

    async def one(fault: Fault) -> None:
        await asyncio.sleep(1.0 + city.random.random() * seconds)
        city.world.tell("fault", kind=getattr(fault, "__name__", "scripted"))
        await fault(city)
        city.world.tell("fault ends", kind=getattr(fault, "__name__", "scripted"))

    await asyncio.gather(*(one(each) for each in faults))


def drawn(city: "City") -> list[Fault]:
    """Some faults of the run's seed."""
    kinds = [kind for kind, _ in FAULTS]
    weights = [weight for _, weight in FAULTS]
    chosen = city.random.choices(kinds, weights, k=city.random.randint(1, 5))
    if database_goes_back not in chosen and city.random.random() < 0.15:
        chosen.append(channel_is_made_anew)
    return chosen
