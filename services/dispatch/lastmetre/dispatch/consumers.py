"""What dispatch reads: accepted reports, actions from the field, and feedback."""

import asyncio
from typing import Final, cast

import structlog

from lastmetre.common.contracts import reports as report_contracts
from lastmetre.common.contracts.base import Message, message_types
from lastmetre.common.contracts.reports import ReportAccepted, ReportSubmitted
from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    REPORTS,
)
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.postgres import dead_letter_table, stopped_sender_table
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.application.adopt_log import adopt_events, adopt_outcomes, finish_decisions
from lastmetre.dispatch.application.execute_commands import (
    KNOWN_WITHIN,
    Command,
    execute_all,
    refuse_unknown,
)
from lastmetre.dispatch.application.publish_network import NetworkCache, adopt_areas
from lastmetre.dispatch.application.register_reports import Accepted, Registrar
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.domain.field_systems import FieldSystems, source_named

log = structlog.get_logger()

CONSUMER: Final = "requests"
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
    """One consumer of everything that is asked of dispatch, so that a case that is registered and
    acted on in one batch is decided in one transaction."""

    def __init__(
        self, host: ServiceHost, network: NetworkCache, field_systems: FieldSystems
    ) -> None:
        self._host = host
        self._field_systems = field_systems
        self._network = network
        numbers = NumberReservations(lambda: host.pool)
        self._registrar = Registrar(numbers, host.settings.city_time_zone)
        host.consume(CONSUMER, (REPORTS, FIELD_ACTIONS, FEEDBACK), self.handle)
        host.publishes(CASE_EVENTS, adopt_events)
        host.publishes(FIELD_OUTCOMES, adopt_outcomes)
        host.publishes(NETWORK_AREAS, adopt_areas)
        host.background(self.look_after_what_waits)

    async def handle(self, work: Work, records: batches.Requests) -> None:
        """Register first, then answer, parked requests of new cases included."""
        accepted: list[Accepted] = []
        commands: list[Command] = []
        for record in records:
            try:
                message = _read(record)
            except BadRecord as error:
                work.dead_letter(record, str(error))
                continue
            if isinstance(message, ReportAccepted):
                accepted.append((message, self._trace(record)))
            elif isinstance(message, ActionRequested | FeedbackGiven):
                commands.append(self._command(message, record))
        network = await self._network.current(work.connection)
        new = await self._registrar.register_all(work, network, accepted)
        if new:
            waited = await work.parked([case.case_id for case in new])
            for parked in waited.values():
                commands.extend(self._parked(record) for record in parked)
                work.unpark(parked)
        _, unknown = await execute_all(work, network, commands)
        for each in unknown:
            if each.record is not None:
                work.park(each.request.case_id, each.record.offset, each.record)

    async def look_after_what_waits(self) -> None:
        """Finish decisions that the log held only in part when the database was behind it, and
        refuse actions whose case did not come within ten minutes, with that reason."""
        while True:
            for look in (self._finish_decisions, self._refuse_expired):
                try:
                    await look()
                except DATABASE_ERRORS as error:
                    log.warning("what waits is looked at later", error=type(error).__name__)
            await asyncio.sleep(EXPIRY_SECONDS)

    async def _finish_decisions(self) -> None:
        async with (
            self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._host.unit_of_work(connection, CONSUMER)
            network = await self._network.current(connection)
            await finish_decisions(work, network, self._host.identities.traceparent())
            await work.flush()
        if work.sends:
            self._host.relay.wake()

    async def _refuse_expired(self) -> None:
        pool = self._host.pool
        async with (
            pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._host.unit_of_work(connection, CONSUMER)
            stopped = await stopped_sender_table.stopped_senders(connection, CONSUMER)
            expired = await dead_letter_table.parked_before(
                connection,
                CONSUMER,
                work.now - KNOWN_WITHIN,
                [sender.key for sender in stopped],
                EXPIRY_BATCH,
            )
            if expired:
                commands = [self._parked(record) for record in expired]
                network = await self._network.current(connection)
                # The case may be known by now: it was adopted from the log, and not registered.
                _, unknown = await execute_all(work, network, commands)
                await refuse_unknown(work, unknown, work.now)
                work.unpark(expired)
                await work.flush()
        self._host.relay.wake()

    def _parked(self, record: ConsumedRecord) -> Command:
        return self._command(cast("ActionRequested | FeedbackGiven", _read(record)), record)

    def _command(self, request: ActionRequested | FeedbackGiven, record: ConsumedRecord) -> Command:
        command = Command(request, record, self._trace(record))
        if isinstance(request, FeedbackGiven):
            return command  # Notify alone writes there.
        source = source_named(record.header("ce_source"))
        objection = self._field_systems.objection(source, request.actor)
        return command._replace(source=source, objection=objection)

    def _trace(self, record: ConsumedRecord) -> str:
        return record.traceparent or self._host.identities.traceparent()


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
