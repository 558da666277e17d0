"""Facts that grow beside the live ones: a fold of the ledger, an event at a time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.case_model import LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.kafka.case_sequence import CASE_EVENT_TYPES
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.kafka.writer_epochs import WriterEpochs
from lastmetre.metrics.adapters.postgres import facts
from lastmetre.metrics.adapters.postgres.rebuilding import REBUILD_TABLE
from lastmetre.metrics.domain.fact import Fact, apply

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

Place = tuple[int, int, int]
"""(partition, offset, append time): a topic that was made anew has other append times."""


def place_of(record: ConsumedRecord) -> Place:
    """Where a record stands in the ledger."""
    return record.partition, record.offset, record.timestamp


class RebuildTarget:
    """The facts beside the live ones, and how far they have come in each partition."""

    def __init__(self, connection: "Connection", zone: ZoneInfo) -> None:
        self._connection = connection
        self._zone = zone
        self._early: dict[UUID, dict[int, CaseEvent]] = {}
        self._corrected: dict[Place, ConsumedRecord] = {}
        self._unreadable: set[Place] = set()
        self._broken = 0
        self._epochs = WriterEpochs()
        self.at: dict[int, int] = {}
        self.events = 0

    @property
    def unreadable(self) -> int:
        """Records that hold no event, and events that cannot follow those before them."""
        return len(self._unreadable) + self._broken

    @property
    def waiting(self) -> int:
        """Events whose turn has not come."""
        return sum(map(len, self._early.values()))

    def behind(self, positions: Mapping[int, int]) -> int:
        """How many records there are still up to `positions`."""
        return sum(max(end - self.at.get(each, 0), 0) for each, end in positions.items())

    async def correct(self, corrections: Sequence[ConsumedRecord]) -> None:
        """Let these count in place of the topic's, also where that was read already."""
        new = {place_of(each): each for each in corrections}
        late = [
            each
            for place, each in new.items()
            if place not in self._corrected and each.offset < self.at.get(each.partition, 0)
        ]
        self._corrected = new
        await self._fold_all(late)

    async def apply(self, records: Sequence[ConsumedRecord]) -> None:
        """Fold records of one partition, in their order, as the live flow does."""
        await self._fold_all(self._epochs.in_force(records))
        self.at[records[-1].partition] = records[-1].offset + 1
        self.events += len(records)

    async def _fold_all(self, records: Sequence[ConsumedRecord]) -> None:
        by_case: dict[UUID, list[CaseEvent]] = {}
        for record in records:
            event = self._event(record)
            if event is not None:
                by_case.setdefault(event.case_id, []).append(event)
        known = await facts.known(self._connection, list(by_case), REBUILD_TABLE)
        changed: dict[UUID, Fact] = {}
        for case_id, events in by_case.items():
            before = known.get(case_id)
            after = self._fold(before, events)
            if after is not None and after != before:
                changed[case_id] = after
        if new := [fact for case_id, fact in changed.items() if case_id not in known]:
            await facts.add(self._connection, new, REBUILD_TABLE)
        old = [(known[case_id], fact) for case_id, fact in changed.items() if case_id in known]
        await facts.change(self._connection, old, REBUILD_TABLE)

    def _event(self, record: ConsumedRecord) -> CaseEvent | None:
        place = place_of(record)
        try:
            event = decode(self._corrected.get(place, record), CASE_EVENT_TYPES)
        except BadRecord:
            self._unreadable.add(place)
            return None
        self._unreadable.discard(place)
        assert isinstance(event, CaseEvent)
        return event

    def _fold(self, fact: Fact | None, events: Sequence[CaseEvent]) -> Fact | None:
        """Apply events, and whatever waited for them; keep what comes too early."""
        for event in events:
            early = self._early.setdefault(event.case_id, {})
            early[event.seq] = event
            while (following := early.pop((fact.seq if fact else 0) + 1, None)) is not None:
                try:
                    fact = apply(fact, following, self._zone)
                except LedgerBroken:
                    self._broken += 1
                    break
            for seq in [seq for seq in early if fact is not None and seq <= fact.seq]:
                del early[seq]
            if not early:
                del self._early[event.case_id]
        return fact
