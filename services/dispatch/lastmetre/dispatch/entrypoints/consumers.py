"""Kafka in: accepted reports, actions from the field, and feedback."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
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
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import IdGenerator
from lastmetre.dispatch.application.adopt_log import adopt_areas, adopt_events, adopt_outcomes
from lastmetre.dispatch.application.handle_requests import HandleRequests, Request
from lastmetre.dispatch.application.register_reports import Accepted
from lastmetre.dispatch.application.transactions import CONSUMER
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.field_systems import FieldSystems, source_named
from lastmetre.dispatch.domain.rules import not_in_a_record, unknown_category

log = structlog.get_logger()

SENDS_TO: Final = (CASE_EVENTS, FIELD_OUTCOMES)
REPORT_TYPES: Final[dict[str, type[Message]]] = {
    name: kind
    for name, kind in message_types(report_contracts).items()
    if kind is not ReportSubmitted
}
FEEDBACK_TYPES: Final[dict[str, type[Message]]] = {FeedbackGiven.TYPE: FeedbackGiven}
ACTION_TYPES: Final[dict[str, type[Message]]] = {ActionRequested.TYPE: ActionRequested}
LOOK_EVERY_SECONDS: Final = 15.0


class CommandReader:
    """Makes commands of records; says what a system may not ask for in a person's name."""

    def __init__(
        self, field_systems: FieldSystems, categories: Container[str], identities: IdGenerator
    ) -> None:
        self._field_systems = field_systems
        self._categories = categories
        self._identities = identities

    def read(self, record: ConsumedRecord) -> Command:
        """What a record asks for that was read before: raises BadRecord."""
        return self.command(cast("ActionRequested | FeedbackGiven", _read(record)), record)

    def command(self, request: ActionRequested | FeedbackGiven, record: ConsumedRecord) -> Command:
        """The command that a request in this record is."""
        command = Command(request, self.trace(record))
        if isinstance(request, FeedbackGiven):
            return command  # Notify alone writes there.
        source = source_named(record.header("ce_source"))
        objection = (
            self._field_systems.objection(source, request.actor)
            or not_in_a_record(request)
            or unknown_category(request, self._categories)
        )
        return command._replace(source=source, objection=objection)

    def trace(self, record: ConsumedRecord) -> str:
        """The trace that a record came with, or a new one."""
        return record.traceparent or self._identities.traceparent()


class Consumers:
    """What dispatch subscribes to, and what it does by itself."""

    def __init__(
        self,
        reader: CommandReader,
        handle_requests: HandleRequests,
        looks: Sequence[Callable[[], Awaitable[None]]],
    ) -> None:
        """`looks` are done every `LOOK_EVERY_SECONDS`."""
        self._reader = reader
        self._handle_requests = handle_requests
        self._looks = looks

    def join(self, host: ServiceHost) -> None:
        """Declare the consumer, what is adopted, and the work beside them."""
        host.consume(CONSUMER, (REPORTS, FIELD_ACTIONS, FEEDBACK), self.handle)
        host.publishes(CASE_EVENTS, adopt_events)
        host.publishes(FIELD_OUTCOMES, adopt_outcomes)
        host.publishes(NETWORK_AREAS, adopt_areas)
        host.background(self.look_after_what_waits)

    async def handle(self, work: Work, records: batches.Requests) -> None:
        """Read a batch, and hand it over."""
        accepted: list[Accepted] = []
        requests: list[Request] = []
        for record in records:
            try:
                message = _read(record)
            except BadRecord as error:
                work.dead_letter(record, str(error))
                continue
            if isinstance(message, ReportAccepted):
                accepted.append((message, self._reader.trace(record)))
            elif isinstance(message, ActionRequested | FeedbackGiven):
                requests.append(Request(self._reader.command(message, record), record))
        await self._handle_requests(work, accepted, requests)

    async def look_after_what_waits(self) -> None:
        """What no record brings about, as long as the service runs."""
        while True:
            for look in self._looks:
                try:
                    await look()
                except DATABASE_ERRORS as error:
                    log.warning("what waits is looked at later", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_SECONDS)


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
