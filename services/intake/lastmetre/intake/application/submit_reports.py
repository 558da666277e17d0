"""Reports into the channels' topics: the same way for the API and for our own form."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.topics import channel_topic
from lastmetre.common.kafka.codec import CONTENT_TYPE, instant
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.ids import TRACEPARENT, IdGenerator
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import KAFKA_SEND, TRACES
from lastmetre.intake.adapters.edge_producer import EdgeProducer, Headers, Report
from lastmetre.intake.domain.submission import record_body, source_of

_TYPE: Final = ReportSubmitted.TYPE.encode()


class AcceptedReport(NamedTuple):
    """A report that Kafka has: its receipt, and the link to its progress page."""

    receipt: str
    progress_url: str


class SubmitReports:
    """Makes records of reports, and receipts for them, without a database."""

    def __init__(
        self,
        producer: EdgeProducer,
        *,
        links: SignedLinks,
        identities: IdGenerator,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._producer = producer
        self._links = links
        self._identities = identities
        self._clock = clock
        self._progress = public_url.rstrip("/") + "/progress/"
        self._fixed: dict[tuple[str, str], Headers] = {}

    def now(self) -> datetime:
        """The city's time, which reports are received at."""
        return self._clock.now()

    async def __call__(
        self,
        channel: Channel,
        sender: str,
        reports: Sequence[ReportSubmitted],
        traceparent: bytes | None,
    ) -> list[AcceptedReport]:
        """Each report's receipt, once Kafka has them all; raises NotAcknowledged.

        `traceparent` is the caller's; where it is none, each report begins a trace.
        """
        now = instant(self._clock.now())
        trace = traceparent if traceparent and TRACEPARENT.match(traceparent) else None
        fixed = self._headers(channel.value, sender)
        taken: list[AcceptedReport] = []
        records: list[Report] = []
        for report in reports:
            each = self.receipt(sender, channel.value, report.source_id)
            taken.append(each)
            source_id = report.source_id.encode()
            happened = instant(report.reported_at) if report.reported_at else now
            headers = [
                *fixed,
                ("ce_id", each.receipt.encode()),
                ("ce_subject", source_id),
                ("ce_time", happened.encode()),
                ("ce_recordedtime", now.encode()),
                ("traceparent", trace or self._identities.traceparent().encode()),
            ]
            records.append(Report(source_id, record_body(report), headers))
        topic = channel_topic(channel)
        with TRACES.span(f"send {topic}", "producer", KAFKA_SEND):
            await self._producer.send(topic, records, sender)
        metrics.REPORTS_TAKEN.labels(channel.value).inc(len(taken))
        return taken

    def receipt(self, sender: str, channel: str, source_id: str) -> AcceptedReport:
        """What the sender of this report holds: the same for every repetition."""
        identity = self._links.receipt_identity(sender, channel, source_id)
        return AcceptedReport(
            self._links.seal(LinkPurpose.RECEIPT, identity),
            self._progress + self._links.seal(LinkPurpose.PROGRESS, identity),
        )

    def _headers(self, channel: str, sender: str) -> Headers:
        found = self._fixed.get((channel, sender))
        if found is None:
            found = self._fixed[channel, sender] = [
                ("ce_specversion", b"1.0"),
                ("ce_type", _TYPE),
                ("ce_source", source_of(channel, sender).encode()),
                ("content-type", CONTENT_TYPE.encode()),
            ]
        return found
