"""The ledger read in order, whatever order and however often its records come."""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseVerified
from lastmetre.common.kafka.case_sequence import in_case_order
from lastmetre.common.kafka.codec import ConsumedRecord, UnknownEventType
from lastmetre.common.outbox.unit_of_work import UnitOfWork

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CASES = [UUID(int=7 << 76 | n) for n in range(3)]


class View:
    """A reader's database: last seq by case, and what is parked."""

    def __init__(self) -> None:
        self.last: dict[UUID, int] = {}
        self.waiting: list[tuple[UUID, int, ConsumedRecord]] = []
        self.buried: list[str] = []

    async def read(self, records: list[ConsumedRecord]) -> list[tuple[UUID, int]]:
        work = _Work(self)

        async def last_seqs(cases: list[UUID]) -> dict[UUID, int]:
            return {case: self.last[case] for case in cases if case in self.last}

        ready = await in_case_order(cast("UnitOfWork", work), records, last_seqs)
        told = [(case_id, event.seq) for case_id, events in ready for event, _ in events]
        self.last |= dict(told)
        return told


class _Work:
    def __init__(self, view: View) -> None:
        self._view = view

    def dead_letter(self, record: ConsumedRecord, error: str) -> None:
        self._view.buried.append(error)

    def park(self, key: UUID, seq: int, record: ConsumedRecord) -> None:
        self._view.waiting.append((key, seq, record))

    def unpark(self, records: list[ConsumedRecord]) -> None:
        self._view.waiting = [each for each in self._view.waiting if each[2] not in records]

    async def parked(self, keys: list[UUID]) -> dict[UUID, list[ConsumedRecord]]:
        found: dict[UUID, list[ConsumedRecord]] = {}
        for key, _, record in sorted(self._view.waiting, key=lambda each: each[:2]):
            if key in keys:
                found.setdefault(key, []).append(record)
        return found


def record(case: UUID, seq: int, offset: int, body: bytes | None = None) -> ConsumedRecord:
    event = CaseVerified(case_id=case, seq=seq, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM)
    headers = [("ce_type", CaseVerified.TYPE.encode())]
    key = str(case).encode()
    return ConsumedRecord("case.events", 0, offset, 0, key, body or event.to_json(), headers)


@given(st.data())
async def test_any_order_and_repetition_is_applied_once_and_in_order(data: st.DataObject) -> None:
    ledger = [(case, seq) for case in CASES for seq in range(1, data.draw(st.integers(1, 5)) + 1)]
    repeated = ledger + data.draw(st.lists(st.sampled_from(ledger), max_size=8))
    shuffled = data.draw(st.permutations(repeated))
    records = [record(case, seq, offset) for offset, (case, seq) in enumerate(shuffled)]
    view, applied = View(), []
    while records:
        size = data.draw(st.integers(1, 4))
        applied += await view.read(records[:size])
        del records[:size]
    for case in CASES:
        expected = [seq for known, seq in ledger if known == case]
        assert [seq for known, seq in applied if known == case] == expected
    assert view.waiting == []


async def test_what_follows_a_dead_event_waits_for_its_replay() -> None:
    view, case = View(), CASES[0]
    bad = record(case, 2, 1, b"{}")
    assert await view.read([record(case, 1, 0), bad, record(case, 3, 2), record(case, 4, 3)]) == [
        (case, 1)
    ]
    assert len(view.buried) == 1
    assert [seq for _, seq, _ in view.waiting] == [3, 4]
    assert await view.read([record(case, 2, 1)]) == [(case, 2), (case, 3), (case, 4)]
    assert view.waiting == []


async def test_a_version_from_the_future_stops_the_reader() -> None:
    unknown = ConsumedRecord(
        "case.events", 0, 0, 0, b"", b"{}", [("ce_type", b"lastmetre.case.closed.v9")]
    )
    with pytest.raises(UnknownEventType, match=r"closed\.v9"):
        await View().read([unknown])
