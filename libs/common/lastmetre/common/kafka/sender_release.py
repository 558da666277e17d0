"""Lets a stopped sender go on: what was held back of it is handled first, in order.

Each portion is one transaction, which keeps the consumer's own batches of the partition out. The
last one ends the stop, so that whatever the sender writes comes after all that was held back; a
crash leaves a sender that is still stopped, with fewer records held back.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from lastmetre.common.kafka.codec import ConsumedRecord, UnknownEventType
from lastmetre.common.kafka.dead_letter_limit import (
    LARGEST_SHARE,
    WINDOW_RECORDS,
    HeldRecord,
    Sender,
)
from lastmetre.common.kafka.failures import is_record_at_fault, reason_of
from lastmetre.common.kafka.ports import Database
from lastmetre.common.kafka.subscribers import Handler
from lastmetre.common.outbox.unit_of_work import PayloadCipher, UnitOfWork

PORTION_RECORDS: Final = 500


class ReleaseTables(Protocol):
    """The core's tables that a release reads and writes."""

    async def lock_stopped_sender(self, connection: Any, consumer: str, sender: Sender, /) -> bool:
        """Keep the consumer's batches of the partition out until the transaction ends; False if the
        sender is not stopped."""

    async def held_back(
        self, connection: Any, consumer: str, sender: Sender, limit: int, /
    ) -> Sequence[HeldRecord]:
        """The first records of the sender that are held back, in order."""

    async def release_sender(self, connection: Any, consumer: str, sender: Sender, /) -> None:
        """The sender is not stopped any more."""


class Portion(NamedTuple):
    """What one transaction did. `released`: nothing was left, the sender goes on."""

    handled: int
    dead_letters: int
    released: bool


class NotStopped(Exception):
    """There is no such stopped sender; perhaps it was released already."""


class StillBad(Exception):
    """Most of what was held back would be dead letters: the reason for the stop is still there."""


class _DryRun(Exception):
    """All went well, and is to be undone."""


class SenderRelease:
    """Handles the records that a consumer holds back of one sender."""

    def __init__(
        self,
        consumer: str,
        handle: Handler,
        sender: Sender,
        *,
        database: Database,
        tables: ReleaseTables,
        unit_of_work: Callable[[Any], UnitOfWork],
        cipher: PayloadCipher,
    ) -> None:
        self._consumer = consumer
        self._handle = handle
        self._sender = sender
        self._database = database
        self._tables = tables
        self._unit_of_work = unit_of_work
        self._cipher = cipher
        self._taken = 0

    async def portion(self, *, accept_dead_letters: bool = False, dry_run: bool = False) -> Portion:
        """Handle the next records, or see what would become of them.

        Raises NotStopped, StillBad unless dead letters are accepted, UnknownEventType where this
        build is too old for the first record. Whatever it raises, nothing has happened.
        """
        limit, suspect, reason = PORTION_RECORDS, False, None
        while True:
            try:
                return await self._transact(limit, reason, accept_dead_letters or dry_run, dry_run)
            except (NotStopped, StillBad):
                raise
            except Exception as error:
                at_fault = is_record_at_fault(error)
                if reason or not (at_fault or isinstance(error, (UnknownEventType, TimeoutError))):
                    raise
                if self._taken > 1:
                    limit = self._taken // 2
                elif not at_fault:
                    raise
                elif suspect:
                    reason = reason_of(error)
                else:
                    suspect = True  # once more, alone: it may have met another transaction

    async def _transact(
        self, limit: int, reason: str | None, accept_dead_letters: bool, dry_run: bool
    ) -> Portion:
        self._taken = 0
        try:
            async with self._database.transaction() as connection:
                work = self._unit_of_work(connection)
                records = await self._first(connection, limit)
                self._taken = len(records)
                if reason:
                    work.dead_letter(records[0], reason)
                elif records:
                    await self._handle(work, records)
                if not accept_dead_letters:
                    _refuse_most(records, work.dead)
                work.unpark(records)
                await work.flush()
                portion = Portion(len(records), len(work.dead), len(records) < limit)
                if portion.released:
                    await self._tables.release_sender(connection, self._consumer, self._sender)
                if dry_run:
                    raise _DryRun
        except _DryRun:
            return portion
        work.committed()
        return portion

    async def _first(self, connection: Any, limit: int) -> list[ConsumedRecord]:
        if not await self._tables.lock_stopped_sender(connection, self._consumer, self._sender):
            raise NotStopped
        held = await self._tables.held_back(connection, self._consumer, self._sender, limit)
        return [self._cipher.open(record) if sealed else record for record, sealed in held]


def _refuse_most(
    records: Sequence[ConsumedRecord], dead: Sequence[tuple[ConsumedRecord, str]]
) -> None:
    if len(records) >= WINDOW_RECORDS and len(dead) > len(records) * LARGEST_SHARE:
        raise StillBad(
            f"{len(dead)} of {len(records)} records would be dead letters,"
            f" the last one: {dead[-1][1]}"
        )
