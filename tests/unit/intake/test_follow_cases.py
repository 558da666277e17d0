"""Following the ledger: what cannot be a case's beginning is an error of that record."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.consumers import follow_cases
from lastmetre.intake.store import cases

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CASE = UUID(int=1)


class _Work:
    connection = None

    async def parked(self, keys: list[UUID]) -> dict[UUID, list[ConsumedRecord]]:
        return {}


async def test_a_ledger_begins_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_is_known(*_: Any) -> dict[UUID, int]:
        return {}

    monkeypatch.setattr(cases, "last_seqs", none_is_known)
    event = CaseAccepted(case_id=CASE, seq=1, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM)
    headers = [("ce_type", CaseAccepted.TYPE.encode())]
    record = ConsumedRecord("case.events", 0, 0, 0, str(CASE).encode(), event.to_json(), headers)
    with pytest.raises(BadRecord, match="begins with its registration"):
        await follow_cases(cast("UnitOfWork", _Work()), [record])
