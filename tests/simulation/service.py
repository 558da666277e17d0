"""Two small services: one registers what a partner sends and tells it, the other reads along."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.case_sequence import CASE_EVENT_TYPES, in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, cloud_event, decode
from lastmetre.common.kafka.subscribers import Handler
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.ids import derived_uuid7
from tests.simulation.process import Core, Service
from tests.simulation.store import Connection, Store
from tests.simulation.world import World

CHANNEL: Final = "channels.app"
_CASES: Final = UUID("00000000-0000-5000-8000-000000000001")
TRACEPARENT: Final = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def case_of(name: str) -> UUID:
    """The case that a partner's record belongs to."""
    return uuid5(_CASES, name)


def registering(world: World, store: Store, core: Core) -> Service:
    """Takes a partner's records `identity case kind`, numbers the events of each case."""

    async def handle(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
        connection: Connection = work.connection
        await connection.statement()
        for record in records:
            identity, case, kind = _read(record)
            if kind == "contract":
                work.dead_letter(record, "a contract it breaks")
                continue
            await _register(work, connection, record, identity, case_of(case))

    async def _register(
        work: UnitOfWork,
        connection: Connection,
        record: ConsumedRecord,
        identity: str,
        case_id: UUID,
    ) -> None:
        await connection.lock(("case", case_id))
        if connection.get("report", identity) is not None:
            return
        moment = record.timestamp if core.derived_ids else world.random.getrandbits(40)
        report_id = derived_uuid7(moment, b"report", identity.encode(), b"%d" % moment)
        seq = (connection.get("case", case_id) or 0) + 1
        connection.put("report", identity, report_id)
        connection.put("case", case_id, seq)
        event = CaseAccepted(
            case_id=case_id,
            seq=seq,
            occurred_at=record.appended_at,
            recorded_at=work.now,
            actor=Actor(role=ActorRole.PARTNER, id=identity),
        )
        work.send(
            cloud_event(
                event,
                topic=CASE_EVENTS,
                key=str(case_id),
                event_id=str(report_id),
                source="dispatch",
                occurred_at=event.occurred_at,
                recorded_at=work.now,
                traceparent=TRACEPARENT,
            )
        )

    async def adopt(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
        connection: Connection = work.connection
        new = 0
        for record in records:
            event: Any = decode(record, CASE_EVENT_TYPES)
            await connection.lock(("case", event.case_id))
            if event.seq <= (connection.get("case", event.case_id) or 0):
                continue
            connection.put("report", event.actor.id, UUID((record.header("ce_id") or b"").decode()))
            connection.put("case", event.case_id, event.seq)
            new += 1
        return new

    return Service(
        "dispatch", (CHANNEL,), (CASE_EVENTS,), lambda _: handle, {CASE_EVENTS: adopt}, store
    )


def _read(record: ConsumedRecord) -> tuple[str, str, str]:
    if record.value is None:
        raise BadRecord("no body")
    identity, case, kind = record.value.decode().split(" ")
    if kind == "data":
        raise asyncpg.DataError("a value that is refused")
    if kind == "mistake":
        raise ValueError("a mistake of ours")
    return identity, case, kind


def reading(store: Store) -> Service:
    """Folds the ledger: the ids of each case's reports, in the order of its events."""

    def handler(_: Store) -> Handler:
        async def handle(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
            connection: Connection = work.connection

            async def last_seqs(case_ids: list[UUID]) -> dict[UUID, int]:
                await connection.statement()
                for case_id in sorted(case_ids):
                    await connection.lock(("story", case_id))
                return {each: len(connection.get("story", each) or ()) for each in case_ids}

            for turn in await in_case_order(work, records, last_seqs):
                told = tuple((record.header("ce_id") or b"").decode() for _, record in turn.events)
                before = connection.get("story", turn.case_id) or ()
                connection.put("story", turn.case_id, before + told)

        return handle

    return Service("notify", (CASE_EVENTS,), (), handler, {}, store)
