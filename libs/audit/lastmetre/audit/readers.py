"""The three readers of the ledger: what each applied, parked or gave up is what it has read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.case_projection import CaseProjection
from lastmetre.audit.cases import different, projection_after
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.partition_view import Ledger, PartitionView
from lastmetre.audit.snapshot import Row, Snapshot
from lastmetre.common.contracts.case_model import ENDED
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import CASE_EVENTS

Columns = Callable[[CaseProjection], dict[str, Any]]


@dataclass(frozen=True)
class View:
    """How a service keeps a case: a row with the case's `id`, its last `seq`, and more."""

    line: str
    query: str
    columns: Columns


def _of_intake(projection: CaseProjection) -> dict[str, Any]:
    case = projection.case
    return {
        "report_id": case.report_id,
        "number": case.number,
        "area_id": case.area_id,
        "types": projection.types,
        "seqs": list(range(1, case.seq + 1)),
        "merged": sorted(case.merged),
    }


def _of_notify(projection: CaseProjection) -> dict[str, Any]:
    first = projection.registered
    return {
        "report_id": first.report_id,
        "number": first.number,
        "reporter_reachable": first.reporter_reachable,
        "origin": first.origin.value,
        "lead_id": projection.case.lead_id,
        "merged": to_json(
            [
                (each.report_id, each.language, each.origin, each.reporter_reachable)
                for each in projection.merged
            ]
        ).decode(),
    }


def _of_metrics(projection: CaseProjection) -> dict[str, Any]:
    first, case = projection.registered, projection.case
    return {
        "number": first.number,
        "report_id": first.report_id,
        "channel": first.channel.value,
        "sub_channel": first.sub_channel,
        "origin": first.origin.value,
        "category": case.category,
        "source_category": first.source_category,
        "reported_at": first.reported_at,
        # A case's number begins with the local day that it was reported on.
        "day": first.number[:6],
        "registered_at": first.occurred_at,
        "state": case.state.value,
        "open": case.state not in ENDED,
        "area_id": case.area_id,
        "lead_id": case.lead_id,
        "unplaced_reason": case.unplaced_reason,
        "dispatched_at": projection.dispatched_at,
        "accepted_at": projection.accepted_at,
        "arrived_at": projection.arrived_at,
        "resolved_at": projection.resolved_at,
        "verified_at": projection.verified_at,
        "closed_at": projection.closed_at,
        "closing": projection.closing,
        "cancelled_at": projection.cancelled_at,
        "cancel_reason": projection.cancel_reason,
        "returns": projection.returns,
        "reopenings": projection.reopenings,
        "rated_at": projection.rated_at,
        "rated_closing": projection.rated_closing,
        "solved": projection.solved,
        "score": projection.score,
        "closed_before_reported": projection.closed_before_reported,
        "fixed_on_spot": projection.fixed_on_spot,
        "reports": len(case.report_ids),
    }


VIEWS: Final[Mapping[str, View]] = {
    "intake": View(
        "applied_intake",
        """
        SELECT v.case_id::text AS id, v.seq, v.report_id, v.number, t.types, t.seqs,
            t.area_ids[1] AS area_id, ARRAY(
                SELECT m.report_id FROM merged_report m WHERE m.case_id = v.case_id
                ORDER BY m.report_id) AS merged
        FROM case_view v LEFT JOIN LATERAL (
            SELECT array_agg(e->>1 ORDER BY (e->>0)::int) AS types,
                array_agg((e->>0)::int ORDER BY (e->>0)::int) AS seqs,
                array_agg(e->4->>'area_id' ORDER BY (e->>0)::int DESC)
                    FILTER (WHERE e->>1 IN ('dispatched', 'reassigned', 'unplaced', 'returned'))
                    AS area_ids
            FROM timeline, json_array_elements(events) AS e
            WHERE timeline.case_id = v.case_id) t ON true
        WHERE v.case_id = ANY($1::uuid[])
        """,
        _of_intake,
    ),
    "notify": View(
        "applied_notify",
        "SELECT case_id::text AS id, seq, report_id, number, reporter_reachable, origin, lead_id,"
        " coalesce(merged::text, '[]') AS merged FROM subject WHERE case_id = ANY($1::uuid[])",
        _of_notify,
    ),
    "metrics": View(
        "applied_metrics",
        "SELECT case_id::text AS id, to_char(reported_day, 'YYMMDD') AS day, * FROM fact"
        " WHERE case_id = ANY($1::uuid[])",
        _of_metrics,
    ),
}


class ReaderLines:
    """Goes through the partitions for every reader of the ledger."""

    def __init__(self, cut: ConsistentCut, balance: Balance) -> None:
        self._cut = cut
        self._balance = balance

    async def check(self, partition_view: PartitionView) -> None:
        """Count one partition."""
        for service, view in VIEWS.items():
            snapshot = next(each for each in self._cut.snapshots if each.service == service)
            rows = {
                row["id"]: row for row in await snapshot.rows(view.query, partition_view.case_ids)
            }
            line = self._balance.line(view.line)
            read_events = _ReadEvents(snapshot, partition_view.partition, self._cut)
            for offset in partition_view.unreadable[CASE_EVENTS]:
                read_events.count_unreadable(line, offset)
            for case_id in partition_view.case_ids:
                ledger = partition_view.ledgers.get(case_id) or Ledger()
                row = rows.get(case_id)
                read_events.count(line, case_id, ledger, row["seq"] if row else 0)
                if row:
                    says = self._balance.line("facts") if service == "metrics" else line
                    self._compare(says, service, case_id, ledger, row)

    def _compare(self, line: Line, service: str, case_id: str, ledger: Ledger, row: Row) -> None:
        """Whether the row says what the ledger comes to; `facts` is a line of its own."""
        counted = line.name == "facts"
        if counted:
            line.expected["facts in metrics"] += 1
        projection = projection_after(ledger, row["seq"])
        if projection is None:
            if counted:
                line.differ(case_id, f"its ledger is not whole up to {row['seq']}")
        elif wrong := different(row, VIEWS[service].columns(projection)):
            line.differ(case_id, f"its ledger comes to another {wrong}")
        elif counted:
            line.actual["as their ledger says"] += 1


class _ReadEvents:
    """A reader's books of one partition of the ledger."""

    def __init__(self, snapshot: Snapshot, partition: int, cut: ConsistentCut) -> None:
        self._flow = READERS[snapshot.service][CASE_EVENTS]
        self._place = CASE_EVENTS, partition
        self._snapshot = snapshot
        self._position = cut.position(snapshot, self._place)

    def count(self, line: Line, case_id: str, ledger: Ledger, applied: int) -> None:
        """Every telling of a case's events that was read; `applied` is the reader's last seq."""
        for seq, observed in ledger.events.items():
            if not 0 <= observed.offset < self._position:
                continue
            line.expected["events below its position"] += 1
            if seq <= applied:
                line.actual["applied"] += 1
            elif (self._flow, self._place, observed.offset) in self._snapshot.parked:
                line.actual["parked"] += 1
            elif (self._flow, self._place, observed.offset) in self._snapshot.dead:
                line.actual["dead"] += 1
            else:
                line.differ(f"{case_id}:{seq}", "was read, but not applied, parked or given up")
        again = sum(offset < self._position for _, offset in ledger.repeated)
        line.expected["events below its position"] += again
        line.actual["told again"] += again
        for seq in range(1, applied + 1):
            event = ledger.events.get(seq)
            if event is None or not 0 <= event.offset < self._position:
                line.differ(f"{case_id}:{seq}", "is applied, but not below the position")

    def count_unreadable(self, line: Line, offset: int) -> None:
        """A record that is no event has to be a dead letter, or have been one."""
        if offset >= self._position:
            return
        line.expected["events below its position"] += 1
        key = (self._flow, self._place, offset)
        if key in self._snapshot.dead:
            line.actual["dead"] += 1
        elif key in self._snapshot.replayed:
            line.actual["replayed"] += 1
        else:
            topic, partition = self._place
            line.differ(f"{topic}/{partition}/{offset}", "was read, but not given up")
