"""Reports: told by intake as they were taken in, registered by dispatch, counted by metrics."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from lastmetre.audit.balance import BEFORE, Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.counted import count_read
from lastmetre.audit.partition_view import Observed, by_partition
from lastmetre.audit.snapshot import Row, ids
from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, decode
from lastmetre.common.kafka.topic_reader import Place

Report = ReportAccepted | ReportRejected
TYPES: Final[dict[str, type[Message]]] = {
    ReportAccepted.TYPE: ReportAccepted,
    ReportRejected.TYPE: ReportRejected,
}
NEITHER: Final = "is neither on the topic nor in the outbox"


@dataclass(slots=True)
class _ReportsOfPartition:
    """One partition of `reports`, intake's outbox included, and the reports that belong there."""

    partition: int
    report_ids: list[str]
    observed: dict[str, Observed[Report]] = field(default_factory=dict)
    again: list[tuple[int, str]] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    versions: list[Report] = field(default_factory=list)

    def put(self, record: ConsumedRecord) -> None:
        """Take in one record."""
        try:
            message = decode(record, TYPES)
        except (BadRecord, UnknownEventType):
            self.unreadable.append(record.offset)
            return
        assert isinstance(message, ReportAccepted | ReportRejected)
        identity = str(message.report_id)
        known = self.observed.get(identity)
        if known is None:
            self.observed[identity] = Observed(record.offset, message)
            return
        if record.offset >= 0:
            self.again.append((record.offset, identity))
        if known.message != message:
            self.versions.append(message)


async def _reports_by_partition(cut: ConsistentCut) -> AsyncIterator[_ReportsOfPartition]:
    for partition, report_ids in enumerate(by_partition(await _report_ids(cut))):
        reports = _ReportsOfPartition(partition, report_ids)
        place = REPORTS, partition
        async for record in cut.records([place]):
            reports.put(record)
        for record in cut.intake.outbox.get(place, ()):
            reports.put(record)
        if reports.report_ids or reports.observed or reports.unreadable:
            yield reports


async def _report_ids(cut: ConsistentCut) -> set[str]:
    """Of every report that a database knows, or that was touched since the checkpoint."""
    if cut.since is not None:
        return cut.since.reports
    known = await ids(cut.intake, "SELECT report_id::text FROM report")
    return known | await ids(
        cut.dispatch,
        'SELECT report_id::text FROM "case"',
        "SELECT unnest(merged)::text FROM \"case\" WHERE merged <> '{}'",
    )


async def check_reports(cut: ConsistentCut, balance: Balance) -> None:
    """Every line that is about reports as such."""
    counted: set[str] = set()
    async for reports in _reports_by_partition(cut):
        rows = {
            row["id"]: row
            for row in await cut.intake.rows(
                "SELECT report_id::text AS id, outcome, channel, origin, category, reported_at,"
                ' latitude, longitude, reasons, topic, partition, "offset"'
                " FROM report WHERE report_id = ANY($1::uuid[])",
                [*reports.report_ids, *reports.observed],
            )
        }
        _published(cut, balance, reports, rows)
        await _registered(cut, balance, reports, rows)
        counted |= await _counted(cut, balance, reports)
    line = balance.line("counted_reports")
    async for (identity,) in cut.metrics.stream(
        f"SELECT report_id::text FROM report WHERE {cut.metrics.recent}"  # noqa: S608
    ):
        if identity not in counted and not cut.was_trimmed(REPORTS, identity):
            line.differ(identity, "is counted, but not below the position")


def _published(
    cut: ConsistentCut, balance: Balance, reports: _ReportsOfPartition, rows: dict[str, Row]
) -> None:
    for identity, row in rows.items():
        line = balance.line(f"{row['outcome']}_told")
        line.expected[f"{row['outcome']} in intake"] += 1
        observed = reports.observed.get(identity)
        if observed is None:
            if _was_counted(cut, row):
                line.actual[BEFORE] += 1
            elif cut.first[REPORTS, reports.partition] > 0:
                line.actual["no longer kept"] += 1
            else:
                line.differ(identity, NEITHER)
            continue
        line.actual["on the topic" if observed.offset >= 0 else "in intake's outbox"] += 1
        if wrong := _different(row, observed.message):
            line.differ(identity, f"says another {wrong} on the topic")
    before = cut.before[REPORTS, reports.partition]
    for identity, observed in reports.observed.items():
        if identity not in rows and observed.offset < before:
            balance.line(f"{_outcome(observed.message)}_told").differ(
                identity, "is told, but not in intake"
            )
    for message in reports.versions:
        balance.line(f"{_outcome(message)}_told").differ(
            message.report_id, "was told in two versions"
        )
    for offset in reports.unreadable:
        balance.line("accepted_told").differ(
            f"{REPORTS}/{reports.partition}/{offset}", "is no report"
        )


async def _registered(
    cut: ConsistentCut, balance: Balance, reports: _ReportsOfPartition, rows: dict[str, Row]
) -> None:
    """Each accepted report that dispatch has read is a case or has joined one; no case is of
    anything else."""
    line = balance.line("registered")
    place = REPORTS, reports.partition
    flow = READERS["dispatch"][REPORTS]
    position = cut.position(cut.dispatch, place)
    cases = {
        row["id"]: row["case_id"]
        for row in await cut.dispatch.rows(
            'SELECT report_id::text AS id, case_id::text AS case_id FROM "case"'
            " WHERE report_id = ANY($1::uuid[]) AND state <> 'merged'",
            [*reports.report_ids, *reports.observed],
        )
    }
    merged = {
        row["id"]: row["case_id"]
        for row in await cut.dispatch.rows(
            'SELECT id::text, case_id::text AS case_id FROM "case", unnest(merged) AS joined(id)'
            " WHERE merged <> '{}' AND merged && $1::uuid[] AND id = ANY($1::uuid[])",
            [*reports.report_ids, *reports.observed],
        )
    }
    for identity, observed in reports.observed.items():
        if not isinstance(observed.message, ReportAccepted):
            continue
        line.expected["accepted reports"] += 1
        if became := _became(identity, cases, merged):
            line.actual[became] += 1
        elif not 0 <= observed.offset < position:
            line.actual["on their way"] += 1
        elif what := _set_aside(cut, (flow, place, observed.offset)):
            line.actual[what] += 1
        else:
            line.differ(identity, "was read by dispatch, but is no case")
    for identity, row in _no_longer_told(cut, reports, rows):
        if row["outcome"] == "accepted":
            line.expected["accepted reports"] += 1
            if became := _became(identity, cases, merged):
                line.actual[became] += 1
            else:
                line.differ(identity, "is no longer on the topic, and is no case")
    for identity, case_id in [*cases.items(), *merged.items()]:
        line.differ(case_id, f"is a case of {identity}, which intake never accepted")


def _was_counted(cut: ConsistentCut, row: Row) -> bool:
    """Whether intake's row is of a record that the checkpoint's books had."""
    return cut.was_counted((row["topic"], row["partition"]), row["offset"])


def _no_longer_told(
    cut: ConsistentCut, reports: _ReportsOfPartition, rows: dict[str, Row]
) -> list[tuple[str, Row]]:
    """Intake's reports that the topic does not keep, or that the checkpoint's books had."""
    kept = cut.first[REPORTS, reports.partition] == 0
    return [
        (identity, row)
        for identity, row in rows.items()
        if identity not in reports.observed and (not kept or _was_counted(cut, row))
    ]


def _became(identity: str, cases: dict[str, str], merged: dict[str, str]) -> str | None:
    """What dispatch has made of a report; it is taken out of there."""
    if cases.pop(identity, None):
        return "registered"
    return "merged" if merged.pop(identity, None) else None


async def _counted(cut: ConsistentCut, balance: Balance, reports: _ReportsOfPartition) -> set[str]:
    """Each report that metrics has read is counted there as what it was."""
    line = balance.line("counted_reports")
    counted = {
        row["id"]: row
        for row in await cut.metrics.rows(
            "SELECT report_id::text AS id, channel, origin, accepted, reasons FROM report"
            " WHERE report_id = ANY($1::uuid[])",
            list(reports.observed),
        )
    }
    observed = [(each.offset, identity) for identity, each in reports.observed.items()]
    place = REPORTS, reports.partition
    seen = count_read(cut, line, place, [*observed, *reports.again], reports.unreadable, counted)
    for identity in seen:
        message, row = reports.observed[identity].message, counted[identity]
        if (row["channel"], row["origin"], row["accepted"], row["reasons"]) != (
            message.channel.value,
            message.origin.value,
            isinstance(message, ReportAccepted),
            [] if isinstance(message, ReportAccepted) else list(message.reasons),
        ):
            line.differ(identity, "is counted as something else")
    return seen


def _set_aside(cut: ConsistentCut, record: tuple[str, Place, int]) -> str | None:
    """How dispatch has put a record by that it has read, if it has."""
    if record in cut.dispatch.dead:
        return "dead"
    return "held back" if record in cut.dispatch.parked else None


def _outcome(message: Report) -> str:
    return "accepted" if isinstance(message, ReportAccepted) else "rejected"


def _different(row: Row, message: Report) -> str:
    """The columns of intake's row that the message contradicts."""
    wanted: dict[str, Any] = {
        "outcome": _outcome(message),
        "channel": message.channel.value,
        "origin": message.origin.value,
        "reported_at": message.reported_at,
    }
    if isinstance(message, ReportAccepted):
        position = message.sent_position
        wanted["category"] = message.category
        wanted["latitude"] = position.latitude if position else None
        wanted["longitude"] = position.longitude if position else None
    else:
        wanted["reasons"] = list(message.reasons)
    return ", ".join(name for name, value in wanted.items() if row[name] != value)
