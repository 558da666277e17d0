"""The ledger: whole in dispatch and on the topic, the same in both; dispatch's cases follow it."""

from dataclasses import dataclass, field
from typing import Any

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.case_projection import CaseProjection, folded
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.partition_view import Ledger, PartitionView
from lastmetre.audit.snapshot import Row, by_key
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, CaseState, ReportMerged
from lastmetre.common.contracts.topics import CASE_EVENTS


@dataclass(slots=True)
class _Recalled:
    """Of cases that were counted at the checkpoint, touched since or not, as dispatch has them."""

    case_of_report: dict[str, str] = field(default_factory=dict)
    case_of_number: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)


class CaseLines:
    """Goes through the partitions; `finish` after the last one."""

    def __init__(self, cut: ConsistentCut, balance: Balance) -> None:
        self._cut = cut
        self._balance = balance
        self._case_of_report: dict[str, str] = {}
        self._case_of_number: dict[str, str] = {}
        self._joined: dict[str, str] = {}
        self._merged: set[str] = set()
        self._recalled = _Recalled()
        self._pairs: set[tuple[str, frozenset[str]]] = set()

    async def check(self, partition_view: PartitionView) -> None:
        """Count one partition."""
        cases = {
            row["id"]: row
            for row in await self._cut.dispatch.rows(
                'SELECT case_id::text AS id, * FROM "case" WHERE case_id = ANY($1::uuid[])',
                partition_view.case_ids,
            )
        }
        entries = by_key(
            await self._cut.dispatch.rows(
                "SELECT case_id::text AS id, seq, type, occurred_at, recorded_at, actor_role,"
                " actor_id, body IS NOT NULL AS has_body"
                " FROM ledger WHERE case_id = ANY($1::uuid[]) ORDER BY seq",
                partition_view.case_ids,
            ),
            "id",
        )
        before = self._cut.before[CASE_EVENTS, partition_view.partition]
        if self._cut.since is not None:
            await self._recall_reports(partition_view)
        for case_id in partition_view.case_ids:
            ledger = partition_view.ledgers.get(case_id) or Ledger()
            case = cases.get(case_id)
            rows = entries.get(case_id, [])
            self._once(case_id, ledger)
            self._joined_once(case_id, ledger, _known_to_dispatch(case, ledger, before))
            self._whole_in_dispatch(case_id, case, rows)
            self._whole_on_topic(case_id, ledger)
            self._published(case_id, rows, ledger, before)
            self._state(case_id, case, ledger, before)
        self._unreadable(partition_view)

    async def _recall_reports(self, partition_view: PartitionView) -> None:
        """Which cases reports and numbers belong to that were not touched since the checkpoint."""
        events = [
            observed.message
            for ledger in partition_view.ledgers.values()
            for observed in ledger.events.values()
            if isinstance(observed.message, CaseRegistered | ReportMerged)
        ]
        report_ids = [str(each.report_id) for each in events]
        numbers = [each.number for each in events if isinstance(each, CaseRegistered)]
        known = await self._cut.dispatch.rows(
            'SELECT case_id::text, report_id::text, number, merged, state FROM "case"'
            " WHERE report_id = ANY($1::uuid[]) OR number = ANY($2)"
            " OR (merged <> '{}' AND merged && $1::uuid[])",
            report_ids,
            numbers,
        )
        asked = set(report_ids)
        for case_id, report_id, number, merged, state in known:
            if state == CaseState.MERGED:
                self._recalled.merged.add(report_id)
            self._recalled.case_of_number[number] = case_id
            if report_id in asked:
                self._recalled.case_of_report[report_id] = case_id
            for each in asked.intersection(map(str, merged)):
                self._recalled.joined[each] = case_id

    def _once(self, case_id: str, ledger: Ledger) -> None:
        line = self._balance.line("one_case")
        for observed in ledger.events.values():
            event = observed.message
            if not isinstance(event, CaseRegistered):
                continue
            line.expected["cases registered"] += 1
            report_id = str(event.report_id)
            other = self._case_of_report.setdefault(report_id, case_id)
            namesake = self._case_of_number.setdefault(event.number, case_id)
            if other == case_id:
                other = self._recalled.case_of_report.get(report_id, case_id)
            if namesake == case_id:
                namesake = self._recalled.case_of_number.get(event.number, case_id)
            if self._is_new_pair(report_id, other, case_id):
                line.differ(report_id, f"this report is two cases: {other} and {case_id}")
            if self._is_new_pair(event.number, namesake, case_id):
                line.differ(event.number, f"two cases have this number: {namesake} and {case_id}")

    def _joined_once(self, case_id: str, ledger: Ledger, known: int) -> None:
        line = self._balance.line("one_case")
        # Of two cases' ledgers the topic may have the one half of a decision before the other.
        projection = projection_after(ledger, known) if known else None
        if projection is not None and projection.case.state is CaseState.MERGED:
            self._merged.add(str(projection.case.report_id))
        for merged in projection.merged if projection else ():
            line.expected["reports merged"] += 1
            other = self._joined.setdefault(str(merged.report_id), case_id)
            if other == case_id:
                other = self._recalled.joined.get(str(merged.report_id), case_id)
            if self._is_new_pair(f"joined {merged.report_id}", other, case_id):
                line.differ(merged.report_id, f"has joined two cases: {other} and {case_id}")

    def _is_new_pair(self, what: str, other: str, case_id: str) -> bool:
        """Whether these are two cases, and have not been named for that yet."""
        pair = what, frozenset((other, case_id))
        is_new = other != case_id and pair not in self._pairs
        self._pairs.add(pair)
        return is_new

    def finish(self) -> None:
        """What only shows when all cases were seen."""
        line = self._balance.line("one_case")
        line.actual["reports that are cases"] = len(self._case_of_report)
        line.actual["reports that have joined a case"] = len(self._joined)
        all_own = self._recalled.case_of_report | self._case_of_report
        all_joined = self._recalled.joined | self._joined
        all_merged = self._recalled.merged | self._merged
        for report_id in sorted(all_own.keys() & all_joined.keys() - all_merged):
            own, joined = all_own[report_id], all_joined[report_id]
            line.differ(report_id, f"is the case {own}, and has joined {joined}")

    def _whole_in_dispatch(self, case_id: str, case: Row | None, rows: list[Row]) -> None:
        line = self._balance.line("ledger_in_dispatch")
        last = case["seq"] if case else 0
        line.expected["last numbers of the cases"] += last
        line.actual["entries in dispatch"] += len(rows)
        seqs = [row["seq"] for row in rows]
        if case is None and seqs:
            line.differ(case_id, "has entries, but is no case in dispatch")
        else:
            _compare_run(line, case_id, seqs, last, "in dispatch")

    def _whole_on_topic(self, case_id: str, ledger: Ledger) -> None:
        line = self._balance.line("ledger_on_topic")
        events = ledger.on_topic()
        last = max(events, default=0)
        line.expected["records on the topic"] += len(events) + len(ledger.repeated)
        line.actual["entries 1 to the last"] += last
        line.actual["told again"] += len(ledger.repeated)
        _compare_run(line, case_id, list(events), last, "on the topic")
        for seq in ledger.versions:
            line.differ(f"{case_id}:{seq}", "was told in two versions")

    def _unreadable(self, partition_view: PartitionView) -> None:
        line = self._balance.line("ledger_on_topic")
        if partition_view.not_in_force:
            line.expected["records on the topic"] += partition_view.not_in_force
            line.actual["of writer epochs that are past"] += partition_view.not_in_force
        for offset in partition_view.unreadable[CASE_EVENTS]:
            line.expected["records on the topic"] += 1
            line.differ(f"{CASE_EVENTS}/{partition_view.partition}/{offset}", "is no event")

    def _published(self, case_id: str, rows: list[Row], ledger: Ledger, before: int) -> None:
        line = self._balance.line("ledger_told")
        line.expected["entries in dispatch"] += len(rows)
        for row in rows:
            observed = ledger.events.get(row["seq"])
            name = f"{case_id}:{row['seq']}"
            if observed is None:
                no_body = "" if row["has_body"] else ", and the ledger has no body to tell it again"
                line.differ(name, f"is neither on the topic nor in the outbox{no_body}")
                continue
            line.actual["on the topic" if observed.offset >= 0 else "in dispatch's outbox"] += 1
            if wrong := different(row, _entry(observed.message)):
                line.differ(name, f"says another {wrong} on the topic")
        here = {row["seq"] for row in rows}
        for seq, observed in ledger.events.items():
            if seq not in here and observed.offset < before:
                line.differ(f"{case_id}:{seq}", "is told, but not in dispatch")

    def _state(self, case_id: str, case: Row | None, ledger: Ledger, before: int) -> None:
        line = self._balance.line("case_state")
        if case is None:
            first = ledger.events.get(1)
            if first and first.offset < before:
                line.differ(case_id, "is told, but no case in dispatch")
            return
        line.expected["cases in dispatch"] += 1
        projection = projection_after(ledger, case["seq"])
        if projection is None:
            line.differ(case_id, f"its ledger is not whole up to {case['seq']}")
        elif wrong := different(case, _case_columns(projection)):
            line.differ(case_id, f"its ledger comes to another {wrong}")
        else:
            line.actual["as their ledger says"] += 1


def _known_to_dispatch(case: Row | None, ledger: Ledger, before: int) -> int:
    """The last event that is in dispatch's snapshot, its outbox included, or would have to be."""
    told = (seq for seq, observed in ledger.events.items() if observed.offset < before)
    return max(case["seq"] if case else 0, max(told, default=0))


def projection_after(ledger: Ledger, seq: int) -> CaseProjection | None:
    """What events 1 to `seq` come to; None where one is missing or they are no ledger."""
    events = ledger.up_to(seq)
    return None if events is None else folded(events)


def _compare_run(line: Line, case_id: str, seqs: list[int], last: int, where: str) -> None:
    """Name what keeps `seqs` from being 1 to `last`."""
    present = set(seqs)
    for seq in range(1, last + 1):
        if seq not in present:
            line.differ(f"{case_id}:{seq}", f"is missing {where}")
    for seq in sorted(present):
        if not 1 <= seq <= last:
            line.differ(f"{case_id}:{seq}", f"is beyond the case's last number {last} {where}")


def _entry(event: CaseEvent) -> dict[str, Any]:
    return {
        "type": event.TYPE,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "actor_role": event.actor.role.value,
        "actor_id": event.actor.id,
    }


def _case_columns(projection: CaseProjection) -> dict[str, Any]:
    case = projection.case
    return {
        "state": case.state.value,
        "is_open": case.is_open,
        "number": case.number,
        "report_id": case.report_id,
        "channel": case.channel.value,
        "origin": case.origin.value,
        "category": case.category,
        "language": case.language.value,
        "reported_at": case.reported_at,
        "latitude": case.position.latitude if case.position else None,
        "longitude": case.position.longitude if case.position else None,
        "changed_at": case.changed_at,
        "area_id": case.area_id,
        "lead_id": case.lead_id,
        "unplaced_reason": case.unplaced_reason,
        "closings": list(case.closings),
        "rated": list(case.rated),
        "merged": list(case.merged),
        "accuracy_metres": case.accuracy_metres,
        "reported_accuracy_metres": case.reported_accuracy_metres,
    }


def different(row: Row, wanted: dict[str, Any]) -> str:
    """The columns of `row` that are not as wanted."""
    return ", ".join(name for name, value in wanted.items() if row[name] != value)
