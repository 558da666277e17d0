"""The core with one mend taken out again, each as it was before."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.consumer import BatchConsumer
from lastmetre.common.kafka.ports import ConsumerClient, TopicPartition
from lastmetre.common.kafka.positions import PartitionPositions, StoredOffset
from lastmetre.common.outbox.relay import Relay, RelaySession
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.tasks import OwnedTasks
from tests.simulation.process import Core
from tests.simulation.store import UnforeseenError


class SwallowingConsumer(BatchConsumer):
    """C1: an error that is not listed leaves the batch, and reading goes on behind it."""

    async def _handle_until_done(
        self, client: ConsumerClient, records: Sequence[ConsumedRecord]
    ) -> None:
        try:
            await self._transact(client, records, None)
        except DATABASE_ERRORS + (UnforeseenError,) as error:
            if isinstance(error, OSError | TimeoutError):
                await super()._handle_until_done(client, records)
                return
            for partition in {TopicPartition(each.topic, each.partition) for each in records}:
                state = self._positions._partitions[partition]
                state.handled = state.handed_out
        except Exception:
            await super()._handle_until_done(client, records)


class _TrustingPositions(PartitionPositions):
    """C2: what lies before the position means that the topic was made anew."""

    def take(
        self, partition: TopicPartition, records: Sequence[ConsumedRecord]
    ) -> tuple[Sequence[ConsumedRecord], bool]:
        state = self._partitions.get(partition)
        if state is not None and records and state.stored is not None:
            stored: StoredOffset = state.stored
            if records[0].offset < stored.next_offset - 1:
                raise AssertionError("taken for a topic made anew")
        return super().take(partition, records)


class OvertakenConsumer(BatchConsumer):
    """C2: the assignment is neither paused nor are batches of an earlier one dropped."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self._positions = _TrustingPositions("dispatch", "consumer")

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        """Reads the positions while fetching has begun."""
        assert self._client is not None
        async with self._busy:
            async with self._database.connection() as connection:
                stored = await self._tables.positions(connection, self.name)
            self._positions._partitions.clear()
            self._positions.assign(self._client, assigned, stored)
            self._positions.epoch = 0
            self._revoked, self._to_place = False, None
            self._giving_up = self._stopping.is_set()

    async def on_revoked(self) -> None:
        """Fetching goes on."""
        self._giving_up = True
        async with self._busy:
            await self._commit_offsets()
            self._giving_up = False


class GatheringRelay(Relay):
    """C3: what is acknowledged is deleted when all of it is."""

    async def _settle(self, session: RelaySession) -> bool:
        if not all(each.answer.done() for each in self._in_flight.values()):
            return False
        return await super()._settle(session)


class UnnoticedTasks(OwnedTasks):
    """C5: a task may end without anybody hearing of it."""

    def spawn(self, name: str, work: Any, *, may_end: bool = False) -> asyncio.Task[None]:
        """Nobody owns it."""

        async def run() -> None:
            with suppress(Exception):
                await work()

        return super().spawn(name, run, may_end=True)


MUTATIONS: Mapping[str, Core] = {
    "C1": Core(consumer=SwallowingConsumer),
    "C2": Core(consumer=OvertakenConsumer),
    "C3": Core(relay=GatheringRelay),
    "C5": Core(tasks=UnnoticedTasks),
    "C13 without catching up": Core(catching_up=None),
    "C13 with drawn ids": Core(derived_ids=False),
}
