"""What dispatch reads: accepted reports, actions from the field, and feedback."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

from lastmetre.common.contracts import reports as report_contracts
from lastmetre.common.contracts.base import Message, message_types
from lastmetre.common.contracts.reports import ReportAccepted, ReportSubmitted
from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    REPORTS,
)
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres import dead_letter_table as runtime_store
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.answering import KNOWN_WITHIN, Asked, answer_all, refuse_unknown
from lastmetre.dispatch.network import NetworkCache
from lastmetre.dispatch.registering import Accepted, Registrar

FLOW: Final = "requests"
SENDS_TO: Final = (CASE_EVENTS, FIELD_OUTCOMES)
REPORT_TYPES: Final[dict[str, type[Message]]] = {
    name: kind
    for name, kind in message_types(report_contracts).items()
    if kind is not ReportSubmitted
}
FEEDBACK_TYPES: Final[dict[str, type[Message]]] = {FeedbackGiven.TYPE: FeedbackGiven}
ACTION_TYPES: Final[dict[str, type[Message]]] = {ActionRequested.TYPE: ActionRequested}
EXPIRY_SECONDS: Final = 15.0
EXPIRY_BATCH: Final = 500


class Requests:
    """One flow over everything that is asked of dispatch, so that a case that is registered and
    acted on in one batch is decided in one transaction."""

    def __init__(self, runtime: ServiceHost, network: NetworkCache) -> None:
        self._runtime = runtime
        self._network = network
        self._registrar = Registrar(runtime.identities, runtime.settings.city_time_zone)
        runtime.consume(FLOW, (REPORTS, FIELD_ACTIONS, FEEDBACK), self.handle)
        runtime.background(self.refuse_what_waited_too_long)

    async def handle(self, work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
        """Register first, then answer, parked requests of new cases included."""
        accepted: list[Accepted] = []
        asked: list[Asked] = []
        for record in records:
            try:
                message = _read(record)
            except BadRecord as error:
                work.dead_letter(record, str(error))
                continue
            if isinstance(message, ReportAccepted):
                accepted.append((message, self._trace(record)))
            elif isinstance(message, ActionRequested | FeedbackGiven):
                asked.append(Asked(message, record, self._trace(record)))
        network = await self._network.current(work.connection)
        new = await self._registrar.register_all(work, network, accepted)
        if new:
            waited = await work.parked([case.case_id for case in new])
            for parked in waited.values():
                asked.extend(self._asked(record) for record in parked)
                work.unpark(parked)
        _, unknown = await answer_all(work, network, asked)
        for each in unknown:
            if each.record is not None:
                work.park(each.request.case_id, each.record.offset, each.record)

    async def refuse_what_waited_too_long(self) -> None:
        """Actions whose case did not come within ten minutes are refused, with that reason."""
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            with suppress(*DATABASE_ERRORS):
                await self._refuse_expired()

    async def _refuse_expired(self) -> None:
        pool = self._runtime.pool
        async with (
            pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._runtime.unit_of_work(connection, FLOW)
            expired = await runtime_store.parked_before(
                connection, FLOW, work.now - KNOWN_WITHIN, EXPIRY_BATCH
            )
            if expired:
                await refuse_unknown(work, [self._asked(record) for _, record in expired], work.now)
                work.unpark(record for _, record in expired)
                await work.flush()
        self._runtime.relay.wake()

    def _asked(self, record: ConsumedRecord) -> Asked:
        request = cast("ActionRequested | FeedbackGiven", _read(record))
        return Asked(request, record, self._trace(record))

    def _trace(self, record: ConsumedRecord) -> str:
        return record.traceparent or self._runtime.identities.traceparent()


def _read(record: ConsumedRecord) -> Message:
    """A partner's topic may hold anything; on our own an unknown type means we are too old."""
    if record.topic == REPORTS:
        return decode(record, REPORT_TYPES)
    if record.topic == FEEDBACK:
        return decode(record, FEEDBACK_TYPES)
    try:
        return decode(record, ACTION_TYPES)
    except UnknownEventType as error:
        raise BadRecord(str(error)) from error
