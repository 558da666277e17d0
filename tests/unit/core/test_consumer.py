"""What becomes of a batch by what its handler raises: the records' fate, position and word."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import asyncpg
import pytest

from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, packed
from lastmetre.common.kafka.consumer import BatchConsumer
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from tests.simulation.broker import Broker
from tests.simulation.clock import VirtualClock, run_virtually
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.store import SimulatedDatabase, Store, UnforeseenError
from tests.simulation.tables import TABLES
from tests.simulation.world import Machine, World

TOPIC: Final = "channels.app"
HERE: Final = TopicPartition(TOPIC, 0)
RECORDS: Final = [b"0", b"1", b"2", b"3", b"4"]
STRUCK: Final = b"2"
ALWAYS: Final = 10_000


class Outbox:
    """Has room."""

    def __init__(self) -> None:
        self.has_room = asyncio.Event()
        self.has_room.set()

    def wake(self) -> None:
        """Nobody sleeps."""


@dataclass
class Outcome:
    """How a consumer stands once it has handled all, or nothing happens any more."""

    handled: list[bytes]
    """In the order of their commits."""
    dead: list[bytes | None]
    position: int
    waited: set[str]
    stopped_because: str | None


def consume(error: Callable[[], Exception], times: int) -> Outcome:
    """Five records, of which `STRUCK` raises `error` so many times."""

    async def main() -> Outcome:
        world = World(1)
        broker, machine, store = Broker(world, [TOPIC]), Machine(world, "p"), Store(world, "s")
        committed: list[bytes] = []
        store.on_commit = lambda connection: committed.extend(
            body for body in connection.writes.get("handled", {}) if isinstance(body, bytes)
        )
        left = times

        async def handle(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
            nonlocal left
            for record in records:
                work.connection.put("handled", record.value, True)
                if record.value == STRUCK and left:
                    left -= 1
                    raise error()

        consumer = BatchConsumer(
            "c", [TOPIC], handle, service="s",
            connect=lambda: SimulatedConsumer(broker, machine, "g", [TOPIC]),
            database=SimulatedDatabase(store, machine), tables=TABLES, outbox=Outbox(),
            clock=VirtualClock(), cipher=NoCipher(), random=Random(1),
        )  # fmt: skip
        broker.logs[HERE].append([(b"key", packed({}), body) for body in RECORDS])
        waited: set[str] = set()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(consumer.run())
            for _ in range(600):
                await asyncio.sleep(0.05)
                if consumer.state.waiting_for:
                    waited.add(consumer.state.waiting_for)
            stopped_because = consumer.stopped_because
            consumer.stop()
            await running
        stored = store.table("position")["c", HERE]
        dead = [record.value for record, _ in store.table("dead_letter").values()]
        return Outcome(committed, dead, stored.next_offset, waited, stopped_because)

    return run_virtually(main())


@pytest.mark.parametrize(
    "error",
    [
        lambda: asyncpg.ReadOnlySQLTransactionError("read-only"),
        lambda: asyncpg.InsufficientPrivilegeError("no more"),
        lambda: ConnectionResetError("gone"),
        lambda: asyncpg.PostgresError("of a class of its own"),
        UnforeseenError,
        MemoryError,
    ],
)
def test_an_error_that_proves_nothing_waits_and_goes_on(error: Callable[[], Exception]) -> None:
    found = consume(error, times=7)
    assert found.handled == RECORDS
    assert (found.dead, found.position, found.stopped_because) == ([], len(RECORDS), None)
    assert f"a batch: {type(error()).__name__}" in found.waited


@pytest.mark.parametrize(
    "error",
    [
        lambda: BadRecord("a contract it breaks"),
        lambda: asyncpg.DataError("a value that PostgreSQL refuses"),
        lambda: asyncpg.NotNullViolationError("another one"),
        lambda: KeyError("a mistake of ours"),
    ],
)
def test_what_proves_a_record_bad_makes_it_alone_a_dead_letter(
    error: Callable[[], Exception],
) -> None:
    found = consume(error, times=ALWAYS)
    assert found.handled == [each for each in RECORDS if each != STRUCK]
    assert (found.dead, found.position, found.stopped_because) == ([STRUCK], len(RECORDS), None)


def test_what_happens_once_is_no_proof() -> None:
    found = consume(lambda: KeyError("met another transaction"), times=1)
    assert (found.handled, found.dead) == (RECORDS, [])


def test_an_unknown_type_stops_its_partition_in_front_of_it() -> None:
    found = consume(lambda: UnknownEventType("of tomorrow"), times=ALWAYS)
    assert found.handled == RECORDS[: RECORDS.index(STRUCK)]
    assert (found.dead, found.position) == ([], RECORDS.index(STRUCK))
    assert found.stopped_because == f"{HERE}: of tomorrow"


def test_a_batch_that_takes_too_long_is_tried_in_parts() -> None:
    found = consume(lambda: TimeoutError("statement timeout"), times=2)
    assert (found.handled, found.dead) == (RECORDS, [])


def test_an_assignment_to_a_client_that_is_closed_already_is_none() -> None:
    """Another member of the group joins while this one leaves it."""

    async def main() -> None:
        world = World(1)
        broker, machine, store = Broker(world, [TOPIC]), Machine(world, "p"), Store(world, "s")

        async def handle(_: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
            raise AssertionError(records)

        consumer = BatchConsumer(
            "c", [TOPIC], handle, service="s",
            connect=lambda: SimulatedConsumer(broker, machine, "g", [TOPIC]),
            database=SimulatedDatabase(store, machine), tables=TABLES, outbox=Outbox(),
            clock=VirtualClock(), cipher=NoCipher(), random=Random(1),
        )  # fmt: skip
        await consumer.on_assigned({HERE})
        assert consumer.assigned is None

    run_virtually(main())
