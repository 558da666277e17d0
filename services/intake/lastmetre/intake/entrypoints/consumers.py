"""Kafka in: the channels' reports, partners' own topics, the ledger for progress pages, the network
for the form."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from lastmetre.common.contracts.base import BYTE_ORDER_MARK, Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.topics import CASE_EVENTS, NETWORK_AREAS, REPORTS, channel_topic
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.area_changes import AreaChange, AreaRemoved, decode_area_change
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, describe, message_type
from lastmetre.common.kafka.consumer import LINGER_BACKGROUND
from lastmetre.common.kafka.subscribers import Carries, Work
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.svg.geometry import rings_of
from lastmetre.intake.application.adopt_log import adopt_reports
from lastmetre.intake.application.follow_cases import follow_cases
from lastmetre.intake.application.ingest_reports import CHANNELS_FLOW, Arrival, IngestReports
from lastmetre.intake.application.keep_network import keep_network
from lastmetre.intake.application.pass_on_reports import PARTNERS_FLOW, PassOnReports
from lastmetre.intake.domain.submission import channel_and_sender

_NAMED_AT_MOST: Final = 80
_CHANNELS: Final = {channel_topic(channel): channel for channel in Channel}
_PartnersRecords = Annotated[Sequence[ConsumedRecord], Carries(dict[str, Any])]


class Consumers:
    """What intake subscribes to."""

    def __init__(self, ingest: IngestReports, pass_on: PassOnReports) -> None:
        self._ingest = ingest
        self._pass_on = pass_on

    def join(self, host: ServiceHost) -> None:
        """Declare the flows, and what is adopted."""
        host.publishes(REPORTS, adopt_reports)
        host.consume(CHANNELS_FLOW, list(_CHANNELS), self.reports)
        host.consume("cases", [CASE_EVENTS], self.cases, LINGER_BACKGROUND)
        host.consume("network", [NETWORK_AREAS], self.areas)
        if self._pass_on.topics:
            host.consume(PARTNERS_FLOW, list(self._pass_on.topics), self.partners)

    async def reports(self, work: Work, records: batches.SubmittedReports) -> None:
        """What is no report becomes a dead letter."""
        arrivals: list[Arrival] = []
        for record in records:
            try:
                arrivals.append(_arrival(record))
            except BadRecord as error:
                work.dead_letter(record, str(error))
        await self._ingest(work, arrivals)

    async def partners(self, work: Work, records: _PartnersRecords) -> None:
        """What the topic's mapping makes no report of becomes a dead letter."""
        read: list[tuple[str, ReportSubmitted]] = []
        for record in records:
            try:
                reader = self._pass_on.topics[record.topic].reader
                read.append((record.topic, _mapped(record, reader)))
            except BadRecord as error:
                work.dead_letter(record, str(error))
        if read:
            await self._pass_on(read, records[0].span)

    async def cases(self, work: Work, records: batches.CaseEvents) -> None:
        """The ledger holds no bad records: one that is stops its partition."""
        await follow_cases(work, records)

    async def areas(self, work: Work, records: batches.Areas) -> None:
        """What is no area becomes a dead letter."""
        changes: list[AreaChange] = []
        for record in records:
            try:
                changes.append(_area_change(record))
            except BadRecord as error:
                work.dead_letter(record, str(error))
        await keep_network(work, changes)


def _arrival(record: ConsumedRecord) -> Arrival:
    name = message_type(record)
    if name != ReportSubmitted.TYPE:
        raise BadRecord(f"ce_type is {name[:_NAMED_AT_MOST]!r}, not {ReportSubmitted.TYPE}")
    channel = _CHANNELS[record.topic]
    sender = _sender(record, channel)
    if record.value is None:
        raise BadRecord("the record has no body")
    try:
        report = ReportSubmitted.from_json(record.value)
    except ValidationError as error:
        raise BadRecord(describe(error)) from error
    return Arrival(record, report, channel, sender)


def _mapped(record: ConsumedRecord, reader: Reader) -> ReportSubmitted:
    if record.value is None:
        raise BadRecord("the record has no body")
    try:
        document = from_json(record.value.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False)
    except ValueError as error:
        raise BadRecord("the body is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise BadRecord("the body is no JSON object")
    reading = reader.read(document)
    if reading.report is None:
        wrong = [each.mistake.silent() for each in reading.mistakes if each.mistake]
        raise BadRecord(f"by {reader.read_by}: {'; '.join(wrong)}")
    return reading.report


def _sender(record: ConsumedRecord, channel: Channel) -> str:
    raw = record.header("ce_source")
    if raw is None:
        raise BadRecord("the header ce_source is missing")
    try:
        named = channel_and_sender(raw.decode())
    except UnicodeDecodeError as error:
        raise BadRecord("the header ce_source is not UTF-8") from error
    if named is None:
        raise BadRecord("ce_source is not /channels/<channel>/<sender>")
    if named[0] != channel.value:
        raise BadRecord(f"ce_source names the channel {named[0]}, the topic is {record.topic}")
    return named[1]


def _area_change(record: ConsumedRecord) -> AreaChange:
    change = decode_area_change(record)
    if isinstance(change, AreaRemoved):
        return change
    try:
        rings = list(rings_of(change.outline))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadRecord("the outline is no GeoJSON polygon") from error
    if not all(len(ring) > 2 for ring in rings) or not rings:
        raise BadRecord("the outline is no GeoJSON polygon")
    return change
