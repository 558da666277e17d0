"""The core with one mend taken out again, each as it was before."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import asyncpg

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.consumer import BatchConsumer
from lastmetre.common.kafka.ports import ConsumerClient, TopicPartition
from lastmetre.common.kafka.positions import _Partition
from lastmetre.common.outbox.catching_up import CatchingUp
from lastmetre.common.outbox.relay import Relay, RelaySession
from lastmetre.common.service.tasks import OwnedTasks
from tests.simulation.process import Core
from tests.simulation.store import UnforeseenError

UNLISTED: Final = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidPasswordError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.PostgresIOError,
    UnforeseenError,
)
"""What C1 names, and one more."""


class SwallowingConsumer(BatchConsumer):
    """C1: an error that is not listed leaves the batch, and reading goes on behind it."""

    async def _handle_until_done(
        self, client: ConsumerClient, records: Sequence[ConsumedRecord]
    ) -> None:
        try:
            await self._transaction.run(client, records, None)
        except UNLISTED:
            for partition in {TopicPartition(each.topic, each.partition) for each in records}:
                state = self._positions._partitions[partition]
                state.handled = state.handed_out
        except Exception:
            await super()._handle_until_done(client, records)


class OvertakenConsumer(BatchConsumer):
    """C2: fetching begins where Kafka was told, and what lies before the position means "anew"."""

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        """Reads the positions while fetching goes on."""
        assert self._client is not None
        async with self._busy:
            self._positions.revoke()
            self._revoked, self._to_place = False, None
            self._giving_up = self._stopping.is_set()
            stored, _ = await self._transaction.standing()
            for partition in assigned:
                at = stored.get(partition)
                self._positions._partitions[partition] = _Partition(at, 0, 0, unchecked=False)
            epoch = self._positions.epoch
            self._positions.seek(self._client, assigned)
            self._positions.epoch = epoch

    async def _find_out(
        self, client: ConsumerClient, partition: TopicPartition, first: ConsumedRecord
    ) -> None:
        self._positions.begins_anew(client, partition, first.offset)


class GatheringRelay(Relay):
    """C3: what is acknowledged is deleted when all of it is."""

    async def _wait_for_answers(self) -> None:
        answers = [each.answer for each in self._in_flight.values()]
        await asyncio.wait(answers or [asyncio.ensure_future(asyncio.sleep(0.1))], timeout=0.2)
        await asyncio.sleep(0.01)

    async def _settle(self, session: RelaySession) -> bool:
        if not all(each.answer.done() for each in self._in_flight.values()):
            return False
        return await super()._settle(session)


class EpochlessCatchingUp(CatchingUp):
    """C13: what older processes still have under way is as good as anything else."""

    async def _begin_epochs(self, topics: Collection[str]) -> None:
        """None begins."""


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
    "C13 without writer epochs": Core(catching_up=EpochlessCatchingUp),
    "C13 with drawn ids": Core(derived_ids=False),
}
