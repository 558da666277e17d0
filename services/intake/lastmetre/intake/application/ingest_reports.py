"""Records of the channels in: normalised, sealed, stored and passed on, each identity once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import (
    Datum,
    ReportAccepted,
    ReportRejected,
    ReportSource,
    ReportSubmitted,
)
from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.kafka.codec import ConsumedRecord, cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.ids import IdGenerator, derived_uuid7
from lastmetre.intake.adapters.postgres import reports as store
from lastmetre.intake.adapters.postgres.reports import (
    DuplicateRecord,
    KnownReport,
    NewReport,
    RecordPosition,
)
from lastmetre.intake.adapters.vault_cipher import Vault, conflict_of, open_conflict
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Normalised, Sent, normalise, with_places
from lastmetre.intake.domain.places_in_words import PlacesInWords
from lastmetre.intake.domain.submission import canonical
from lastmetre.intake.domain.vault_entries import VaultEntry

SOURCE: Final = "/intake"
CHANNELS_FLOW: Final = "channels"
"""The consumer of reports, and so the name of its positions."""


class Arrival(NamedTuple):
    """A report that a record holds, and who sent it."""

    record: ConsumedRecord
    report: ReportSubmitted
    channel: Channel
    sender: str


class IncomingReport(NamedTuple):
    """The same, and whose it is."""

    record: ConsumedRecord
    report: ReportSubmitted
    channel: Channel
    sender: str
    identity: bytes
    fingerprint: bytes
    received_at: datetime

    @property
    def place(self) -> RecordPosition:
        """Where its record stands."""
        r = self.record
        return RecordPosition(r.topic, r.partition, r.offset, r.timestamp)


class IngestReports:
    """The flow `channels`, in a batch's transaction. `places`: None where the city has no
    gazetteer. `city_time` turns a record's append time into
    the city's time."""

    def __init__(
        self,
        *,
        links: SignedLinks,
        identities: IdGenerator,
        vault: Vault,
        categories: CategoryCodes,
        check: ContactCheck,
        places: PlacesInWords | None,
        city_time: Callable[[datetime], datetime],
    ) -> None:
        self._links = links
        self._identities = identities
        self._vault = vault
        self._categories = categories
        self._check = check
        self._places = places
        self._city_time = city_time

    async def __call__(self, work: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Take in reports of which the first of an identity counts; what comes later is noted."""
        first: dict[bytes, IncomingReport] = {}
        later: list[IncomingReport] = []
        for each in arrivals:
            incoming = self._incoming(each)
            if incoming.identity in first:
                later.append(incoming)
            else:
                first[incoming.identity] = incoming
        if not first:
            return
        new = await self._take_in(work, list(first.values()))
        known = [*later, *(a for identity, a in first.items() if identity not in new)]
        if known:
            await self._seen_before(work, known)

    def _incoming(self, each: Arrival) -> IncomingReport:
        return IncomingReport(
            *each,
            self._links.receipt_identity(each.sender, each.channel.value, each.report.source_id),
            self._vault.fingerprint(canonical(each.report)),
            self._city_time(each.record.appended_at),
        )

    async def _take_in(self, work: UnitOfWork, arrivals: list[IncomingReport]) -> set[bytes]:
        """Store and pass on those whose identity is new; returns these identities."""
        sent = [Sent(a.channel.value, a.report, a.received_at) for a in arrivals]
        normalised = normalise(sent, self._categories, self._check)
        if self._places:
            normalised = with_places(normalised, self._places)
        rows = [
            self._row(arrival, made) for arrival, made in zip(arrivals, normalised, strict=True)
        ]
        new = await store.insert(work.connection, rows)
        sealed = []
        for arrival, made, row in zip(arrivals, normalised, rows, strict=True):
            if arrival.identity in new:
                entry = VaultEntry.of(arrival.report, made)
                sealed.append((row.report_id, self._seal(entry, row.report_id)))
                self._tell(work, arrival, made, row)
        if sealed:
            await store.insert_vault(work.connection, sealed)
        return new

    def _seal(self, entry: VaultEntry, report_id: UUID) -> bytes:
        return self._vault.seal(entry.to_json(), report_id.bytes)

    def _row(self, arrival: IncomingReport, made: Normalised) -> NewReport:
        position = arrival.report.position
        # What we made of it says all that was sent, unless it was another datum or no point.
        otherwise = position and (position.datum is not Datum.WGS84 or made.position is None)
        return NewReport(
            report_id_of(arrival.identity, arrival.record.timestamp),
            arrival.identity,
            arrival.sender,
            arrival.channel.value,
            arrival.report.source_id,
            arrival.fingerprint,
            "rejected" if made.reasons else "accepted",
            ",".join(made.reasons),
            arrival.report.origin.value,
            made.category,
            made.reported_at,
            made.position.latitude if made.position else None,
            made.position.longitude if made.position else None,
            position.model_dump_json() if position and otherwise else None,
            *arrival.place,
            arrival.report.read_by,
        )

    def _tell(
        self, work: UnitOfWork, arrival: IncomingReport, made: Normalised, row: NewReport
    ) -> None:
        report = arrival.report
        came_from = ReportSource(identity=arrival.identity.hex(), **arrival.place._asdict())
        message: ReportAccepted | ReportRejected
        if made.reasons:
            message = ReportRejected(
                report_id=row.report_id,
                channel=arrival.channel,
                sub_channel=report.sub_channel,
                origin=report.origin,
                reported_at=made.reported_at,
                received_at=arrival.received_at,
                reasons=made.reasons,
                read_by=report.read_by,
                came_from=came_from,
            )
        else:
            position, accuracy_metres = made.place
            message = ReportAccepted(
                report_id=row.report_id,
                channel=arrival.channel,
                sub_channel=report.sub_channel,
                origin=report.origin,
                category=made.category,
                source_category=report.category,
                reported_at=made.reported_at,
                reported_at_not_believed=made.not_believed,
                received_at=arrival.received_at,
                position=position,
                accuracy_metres=accuracy_metres,
                named_area_id=report.named_area_id,
                place_in_words=made.place_in_words,
                reporter_reachable=bool(made.reachable),
                language=made.language,
                read_by=report.read_by,
                came_from=came_from,
            )
        key = str(row.report_id)
        work.send(
            cloud_event(
                message,
                topic=REPORTS,
                key=key,
                event_id=key,
                source=SOURCE,
                occurred_at=made.reported_at,
                recorded_at=work.now,
                traceparent=arrival.record.traceparent or self._identities.traceparent(),
            )
        )

    async def _seen_before(self, work: UnitOfWork, arrivals: list[IncomingReport]) -> None:
        """Note repetitions and conflicts; a record that is being read again is neither.

        It brings the contents of a report that the database knew from the log alone.
        """
        known = await store.known(work.connection, list({a.identity for a in arrivals}))
        read_again: list[IncomingReport] = []
        others: list[IncomingReport] = []
        for arrival in arrivals:
            counts = known.get(arrival.identity)
            if counts is None:
                continue  # erased since
            if counts.place != arrival.place:
                others.append(arrival)
            elif counts.fingerprint is None:
                read_again.append(arrival)
                known[arrival.identity] = counts._replace(fingerprint=arrival.fingerprint)
        if read_again:
            await self._fill_in(work, known, read_again)
        if others:
            duplicates = [self._duplicate(each, known[each.identity]) for each in others]
            await store.insert_later(work.connection, duplicates)

    async def _fill_in(
        self,
        work: UnitOfWork,
        known: Mapping[bytes, KnownReport],
        arrivals: Sequence[IncomingReport],
    ) -> None:
        """Keep the contents that were missing; what was told of these reports stays as it is."""
        sent = [Sent(a.channel.value, a.report, a.received_at) for a in arrivals]
        rows: list[NewReport] = []
        sealed: list[tuple[UUID, bytes]] = []
        for arrival, made in zip(
            arrivals, normalise(sent, self._categories, self._check), strict=True
        ):
            report_id = known[arrival.identity].report_id
            entry = VaultEntry.of(arrival.report, made)
            rows.append(self._row(arrival, made)._replace(report_id=report_id))
            sealed.append((report_id, self._seal(entry, report_id)))
        await store.fill_in(work.connection, rows)
        await store.insert_vault(work.connection, sealed)
        fingerprints = {row.report_id: row.fingerprint for row in rows}
        repeated = [
            each.place
            for each in await store.conflicts(work.connection, list(fingerprints))
            if each.sealed
            and self._says(each.sealed, each.report_id) == fingerprints[each.report_id]
        ]
        if repeated:
            await store.conflicts_were_repetitions(work.connection, repeated)

    def _says(self, sealed: bytes, report_id: UUID) -> bytes:
        """The fingerprint of a conflict's body."""
        return self._vault.fingerprint(open_conflict(self._vault, sealed, report_id))

    def _duplicate(self, arrival: IncomingReport, counts: KnownReport) -> DuplicateRecord:
        """Where the contents that count are missing nobody can tell: for a person to look at."""
        if arrival.fingerprint == counts.fingerprint:
            return DuplicateRecord(arrival.place, counts.report_id, "repeated", None)
        body = self._vault.seal(canonical(arrival.report), conflict_of(counts.report_id))
        return DuplicateRecord(arrival.place, counts.report_id, "conflict", body)


def report_id_of(identity: bytes, appended_at: int) -> UUID:
    """A report's id, found again after the database went back in time.

    From what its receipt is made of, and the append time (milliseconds) of the record that counts.
    """
    return derived_uuid7(appended_at, b"report", identity, appended_at.to_bytes(8))
