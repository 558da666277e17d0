"""The core's tables in the store, as the SQL of lastmetre.common.postgres does it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.dead_letter_limit import HeldRecord, Sender
from lastmetre.common.kafka.failures import FencedError
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.kafka.positions import OffsetGap, StoredOffset
from lastmetre.common.outbox.catching_up import Identities
from lastmetre.common.outbox.messages import NewOutboxBatch, OutboxBatch
from lastmetre.common.outbox.shard_locks import ShardLeases
from tests.simulation.store import Connection


class SimulatedTables:
    """`ConsumerTables` and `CatchUpTables`."""

    async def positions(
        self, connection: Connection, consumer: str
    ) -> dict[TopicPartition, StoredOffset]:
        """Every stored position of the consumer."""
        await connection.statement()
        found = connection.rows("position")
        return {key[1]: row for key, row in found.items() if key[0] == consumer}  # type: ignore[index]

    async def advance_positions(
        self,
        connection: Connection,
        consumer: str,
        before: Mapping[TopicPartition, StoredOffset | None],
        after: Mapping[TopicPartition, StoredOffset],
    ) -> bool:
        """Compare and set, in key order, under row locks."""
        await connection.statement()
        moved = 0
        for partition in sorted(after):
            await connection.lock(("position", consumer, partition))
            was, found = before[partition], connection.get("position", (consumer, partition))
            if (found and found.next_offset) == (was and was.next_offset):
                connection.put("position", (consumer, partition), after[partition])
                moved += 1
        return moved == len(after)

    async def insert_offset_gaps(
        self, connection: Connection, consumer: str, gaps: Sequence[OffsetGap]
    ) -> None:
        """Evidence for the audit."""
        await connection.statement()
        for gap in gaps:
            connection.put("passed_over", (consumer, *gap[:3]), gap)

    async def stopped_senders(self, connection: Connection, consumer: str) -> set[Sender]:
        """The senders whose records are held back."""
        await connection.statement()
        return {key[1] for key in connection.rows("stopped_sender") if key[0] == consumer}  # type: ignore[index]

    async def stop_senders(
        self, connection: Connection, consumer: str, reasons: Mapping[Sender, str], now: datetime
    ) -> None:
        """Hold back what these send from now on."""
        await connection.statement()
        for sender in reasons:
            connection.put("stopped_sender", (consumer, sender), now)

    async def insert_held_back(
        self,
        connection: Connection,
        consumer: str,
        records: Sequence[ConsumedRecord],
        now: datetime,
    ) -> None:
        """With the parked ones, by sender and offset."""
        held = [(Sender.of(record).key, record.offset, record) for record in records]
        await self.insert_parked(connection, consumer, held, now)

    async def lock_stopped_sender(
        self, connection: Connection, consumer: str, sender: Sender
    ) -> bool:
        """The position's lock, and whether the sender is stopped."""
        await connection.statement()
        partition = TopicPartition(sender.topic, sender.partition)
        await connection.lock(("position", consumer, partition))
        return connection.get("stopped_sender", (consumer, sender)) is not None

    async def held_back(
        self, connection: Connection, consumer: str, sender: Sender, limit: int
    ) -> list[HeldRecord]:
        """In the order of their offsets."""
        found = await self.parked_of(connection, consumer, [sender.key])
        return [HeldRecord(record, sealed=True) for record in found.get(sender.key, [])[:limit]]

    async def release_sender(self, connection: Connection, consumer: str, sender: Sender) -> None:
        """Nothing of it is held back any more."""
        await connection.statement()
        connection.put("stopped_sender", (consumer, sender), None)

    async def append_outbox(
        self, connection: Connection, batches: Iterable[NewOutboxBatch]
    ) -> None:
        """Ids come from a sequence, which no rollback gives back."""
        await connection.statement()
        for new in batches:
            connection.store.last_id += 1
            row = OutboxBatch(
                connection.store.last_id, new.topic, new.partition, new.shard,
                new.keys, new.headers, new.bodies,
            )  # fmt: skip
            connection.put("outbox", (row.shard, row.id), row)

    async def outbox_head(
        self, connection: Connection, shards: Sequence[int], limit: int
    ) -> list[OutboxBatch]:
        """Of each of these shards the lowest ids."""
        await connection.statement()
        rows = connection.rows("outbox")
        return [
            rows[key]
            for shard in shards
            for key in sorted(each for each in rows if each[0] == shard)[:limit]  # type: ignore[index, type-var]
        ]

    async def acknowledge(
        self,
        connection: Connection,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int | None = None,
    ) -> bool:
        """An older acknowledgement changes nothing but the rows; of another epoch, nothing."""
        await connection.statement()
        if sent_in not in (None, connection.get("caught_up", "writer_epoch") or 0):
            return False
        for partition in sorted(reached):
            await connection.lock(("outbox_acknowledged", partition))
        for row in sent:
            connection.put("outbox", (row.shard, row.id), None)
        for partition, now in reached.items():
            was = connection.get("outbox_acknowledged", partition)
            if was is None or (now[1], now[0]) > (was[1], was[0]):
                connection.put("outbox_acknowledged", partition, now)
        return True

    async def writer_epoch(self, connection: Connection) -> int:
        """In which the service writes."""
        await connection.statement()
        return connection.get("caught_up", "writer_epoch") or 0

    async def begin_writer_epoch(self, connection: Connection, seen: int) -> int:
        """One above the last one and above `seen`."""
        await connection.statement()
        await connection.lock(("caught_up", "writer_epoch"))
        epoch = max(connection.get("caught_up", "writer_epoch") or 0, seen) + 1
        connection.put("caught_up", "writer_epoch", epoch)
        return epoch

    async def acknowledged(self, connection: Connection) -> dict[TopicPartition, StoredOffset]:
        """How far each partition has been acknowledged."""
        await connection.statement()
        return dict(connection.rows("outbox_acknowledged"))  # type: ignore[arg-type]

    async def identities(self, connection: Connection) -> Identities:
        """Its past is what tells a store from another."""
        await connection.statement()
        noted = connection.get("caught_up", "identity")
        return Identities(noted, str(connection.past))

    async def note_identity(self, connection: Connection, now: str) -> None:
        """The service has caught up in this one."""
        await connection.statement()
        connection.put("caught_up", "identity", now)

    async def insert_dead_letters(
        self,
        connection: Connection,
        consumer: str,
        dead: Sequence[tuple[ConsumedRecord, str]],
        now: datetime,
    ) -> None:
        """A repetition changes nothing."""
        await connection.statement()
        for record, error in dead:
            key = (consumer, record.topic, record.partition, record.offset, record.timestamp)
            connection.put("dead_letter", key, (record, error))

    async def insert_parked(
        self,
        connection: Connection,
        consumer: str,
        parked: Sequence[tuple[UUID, int, ConsumedRecord]],
        now: datetime,
    ) -> None:
        """By (key, seq); a repetition changes nothing."""
        await connection.statement()
        for key, seq, record in parked:
            connection.put("parked", (consumer, key, seq, record.timestamp), record)

    async def parked_of(
        self, connection: Connection, consumer: str, keys: Sequence[UUID]
    ) -> Mapping[UUID, list[ConsumedRecord]]:
        """Each key's in order."""
        await connection.statement()
        found: dict[UUID, list[ConsumedRecord]] = {}
        parked: list[Any] = sorted(connection.rows("parked").items(), key=lambda each: each[0])
        for (who, key, _, _), record in parked:
            if who == consumer and key in keys:
                found.setdefault(key, []).append(record)
        return found

    async def delete_parked(
        self, connection: Connection, consumer: str, handled: Sequence[ConsumedRecord]
    ) -> None:
        """These have had their turn."""
        await connection.statement()
        gone = {(each.topic, each.partition, each.offset, each.timestamp) for each in handled}
        for key, r in list(connection.rows("parked").items()):
            if key[0] == consumer and (r.topic, r.partition, r.offset, r.timestamp) in gone:  # type: ignore[index]
                connection.put("parked", key, None)


TABLES: Final = SimulatedTables()


class _AdvisoryLocks:
    """The few statements of `ShardLeases`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: str, *values: int) -> None:
        await self._connection.statement()
        if "lock_shared" in statement:
            self._connection.store.locks["member", values[0], id(self._connection)] = (
                self._connection
            )
            self._connection.try_lock(("member", values[0], id(self._connection)))
        else:
            self._connection.unlock(("shard", *values))

    async def fetchval(self, statement: str, *values: int) -> int | bool:
        await self._connection.statement()
        if "count" in statement:
            held: Any = self._connection.store.locks
            return sum(each[:2] == ("member", values[0]) for each in held)
        return self._connection.try_lock(("shard", *values))


class SimulatedRelaySession:
    """A `RelaySession`, with the real leases."""

    def __init__(self, connection: Connection, shards: Sequence[int]) -> None:
        self._connection = connection
        locks: Any = _AdvisoryLocks(connection)
        self._leases = ShardLeases(locks, 1, shards)

    async def join(self) -> None:
        """Be counted among those that share."""
        await self._leases.join()

    async def balance(self, busy: Sequence[int]) -> Sequence[int]:
        """The shards that are owned."""
        await self._leases.balance(busy)
        return self._leases.owned

    async def head(self, shards: Sequence[int], limit: int) -> Sequence[OutboxBatch]:
        """Of each of these shards the lowest ids."""
        return await TABLES.outbox_head(self._connection, shards, limit)

    async def acknowledge(
        self,
        sent: Sequence[OutboxBatch],
        reached: Mapping[TopicPartition, StoredOffset],
        sent_in: int,
    ) -> None:
        """In a transaction of its own, on the session that holds the locks."""
        store = self._connection.store
        own = Connection(store, self._connection.machine)
        own.past = self._connection.past
        own.cut = self._connection.cut
        try:
            await self._connection.statement()
            if not await TABLES.acknowledge(own, sent, reached, sent_in):
                raise FencedError
            own.cut = self._connection.cut
            await own.commit()
        finally:
            own.end()

    async def writer_epoch(self) -> int:
        """In which the service writes."""
        return await TABLES.writer_epoch(self._connection)

    async def acknowledged(self) -> Mapping[TopicPartition, StoredOffset]:
        """How far each partition has come."""
        return await TABLES.acknowledged(self._connection)
