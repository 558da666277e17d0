"""Messages: those that the ledger asks for, what became of each, and that it was told."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.audit.balance import BEFORE, Balance, Line
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.partition_view import Observed, PartitionView
from lastmetre.audit.snapshot import Row, by_key
from lastmetre.common.contracts import cases
from lastmetre.common.contracts.case_model import STATE_AFTER
from lastmetre.common.contracts.cases import CaseEvent, CaseState
from lastmetre.common.contracts.deliveries import MessageDelivered
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES

TOLD_TO_REPORTERS: Final = (
    cases.CaseAccepted,
    cases.CaseArrived,
    cases.CaseClosed,
    cases.CaseCancelled,
    cases.CaseReopened,
    cases.CaseSplit,
)
FOLDER: Final = "folder"
_FILE: Final = re.compile(
    r"^(?P<number>.+)-(?P<seq>\d{2,})-(?P<recipient>reporter|lead)-[a-z_]+-(?P<id>[0-9a-f-]{36})$"
)


class Key(NamedTuple):
    """What names a message: the event that it tells of, and to whom."""

    case_id: str
    seq: int
    recipient: str

    def __str__(self) -> str:
        return f"{self.case_id}:{self.seq}:{self.recipient}"


def asked_for(case_id: str, events: list[CaseEvent]) -> set[Key]:
    """The messages that a case's events ask for.

    A lead hears of it when he gets a case and when it is taken from him for another. A reporter who
    can be reached hears when the case was first placed or put into the queue, and of each step
    that matters to him, also whom it is given to where it had waited in the queue. One whose
    report joins hears that, and of each step from then on; one whose case goes on by itself, that.
    """
    first = events[0]
    assert isinstance(first, cases.CaseRegistered)
    asked: set[Key] = set()
    acknowledged = False
    joined: set[UUID] = set()
    state = CaseState.REGISTERED
    for event in events:
        to: list[str] = []
        placed = isinstance(event, cases.CaseDispatched | cases.CaseUnplaced)
        acknowledges, acknowledged = placed and not acknowledged, acknowledged or placed
        queued, state = state is CaseState.UNPLACED, STATE_AFTER[type(event)] or state
        given = queued and not acknowledges and isinstance(event, cases.CaseDispatched)
        told = given or isinstance(event, TOLD_TO_REPORTERS)
        if isinstance(event, cases.Assignment):
            to.append(f"lead:{event.lead.lead_id}")
        if isinstance(event, cases.CaseReassigned):
            to.append(f"lead:{event.previous_lead_id}")
        if (acknowledges or told) and first.reporter_reachable:
            to.append("reporter")
        if told:
            to += [f"reporter:{report_id}" for report_id in joined]
        elif isinstance(event, cases.ReportMerged) and event.reporter_reachable:
            to.append(f"reporter:{event.report_id}")
            joined.add(event.report_id)
        elif isinstance(event, cases.ReportSplit):
            joined.discard(event.report_id)
        elif isinstance(event, cases.CaseMerged):
            joined.clear()
        asked.update(Key(case_id, event.seq, recipient) for recipient in to)
    return asked


class MessageLines:
    """Goes through the partitions; `finish` after the last one."""

    def __init__(self, cut: ConsistentCut, balance: Balance) -> None:
        self._cut = cut
        self._balance = balance
        self._sent_to_folder: set[str] = set()
        self._adopted: set[str] = set()
        self._waiting: set[tuple[str, int, str]] = set()

    async def check(self, partition_view: PartitionView) -> None:
        """Count one partition."""
        notify = self._cut.notify
        subjects = await notify.rows(
            "SELECT case_id::text AS id, seq, number FROM subject WHERE case_id = ANY($1::uuid[])",
            partition_view.case_ids,
        )
        waiting = await notify.rows(
            "SELECT case_id::text AS id, seq, recipient, 'pending' AS result, again::text"
            " FROM message_waiting WHERE case_id = ANY($1::uuid[])",
            partition_view.case_ids,
        )
        done = await notify.rows(
            "SELECT case_id::text AS id, seq, recipient, result, provider, error, occurred_at,"  # noqa: S608
            f" NULL AS again, {notify.recent} AS recent"
            " FROM message_done WHERE case_id = ANY($1::uuid[])",
            partition_view.case_ids,
        )
        asked_again = await notify.rows(
            "SELECT case_id::text AS id, seq, recipient, result, provider, error, occurred_at,"  # noqa: S608
            f" request_id::text AS again, {notify.recent} AS recent"
            " FROM message_again WHERE case_id = ANY($1::uuid[])",
            partition_view.case_ids,
        )
        self._adopted.update(
            row["id"]
            for row in await notify.rows(
                "SELECT message_id::text AS id FROM adopted_delivery"
                " WHERE case_id = ANY($1::uuid[])",
                partition_view.case_ids,
            )
        )
        rows = by_key([*(row for row in waiting if row["again"] is None), *done], "id")
        last = {row["id"]: row["seq"] for row in subjects}
        line = self._balance.line("messages")
        for case_id in partition_view.case_ids:
            events = partition_view.ledgers[case_id].up_to(last.get(case_id, 0))
            _count_asked(line, case_id, events, rows.get(case_id, []))
        _count_asked_again(line, asked_again, done, waiting)
        self._deliveries(partition_view, [*done, *(row for row in asked_again if row["result"])])
        numbers = {row["id"]: row["number"] for row in subjects}
        for row in waiting:
            place = numbers.get(row["id"], ""), row["seq"], _kind(row["recipient"])
            self._waiting.add(place)

    def _deliveries(self, partition_view: PartitionView, done: list[Row]) -> None:
        """Each message that ended was told, once and so; nothing else was."""
        line = self._balance.line("deliveries")
        observed = _first_tellings(line, partition_view.deliveries)
        ended: dict[tuple[str, int, str], list[Row]] = defaultdict(list)
        for row in done:
            line.expected["messages ended"] += 1
            ended[row["id"], row["seq"], _kind(row["recipient"])].append(row)
        before = self._cut.before[NOTIFY_DELIVERIES, partition_view.partition]
        for name in ended.keys() | observed.keys():
            self._compare(line, ended.get(name, []), observed.get(name, []), before)

    def _compare(
        self, line: Line, rows: list[Row], observed: list[Observed[MessageDelivered]], before: int
    ) -> None:
        """The rows of one event and kind of recipient with what was told of them."""
        rest = list(observed)
        unfound = 0
        for row in sorted(rows, key=lambda each: not each["recent"]):
            says = (row["result"], row["provider"], row["error"], row["occurred_at"], row["again"])
            found = next((each for each in rest if _end(each.message) == says), None)
            key = Key(row["id"], row["seq"], row["recipient"])
            if found is None and not row["recent"]:
                line.actual[BEFORE] += 1
                continue
            if found is None:
                unfound += 1
                what = "was told otherwise" if rest else "is neither on the topic nor in the outbox"
                line.differ(key, what)
                continue
            rest.remove(found)
            line.actual["on the topic" if found.offset >= 0 else "in notify's outbox"] += 1
            if row["result"] == "sent" and row["provider"] == FOLDER:
                self._sent_to_folder.add(str(found.message.message_id))
        for each in rest:
            if str(each.message.message_id) in self._adopted:
                continue  # Known from the log; the event that asks for it is still to be read.
            if each.offset < before and len(rest) > unfound:
                line.differ(each.message.message_id, "is told, but has not ended in notify")

    def finish(self) -> None:
        """Compare the messages that went to the folder with the files there."""
        line = self._balance.line("message_files")
        line.expected["messages sent to the folder"] = len(self._sent_to_folder)
        earlier = {path.name for path in self._cut.files_before}
        counted = self._counted_files()
        found: set[str] = set()
        for path in sorted(self._cut.files_after):
            match = _FILE.match(path.stem)
            if match is None:
                if path not in counted:
                    line.differ(path.name, "is no message's file")
            elif match["id"] in found:
                line.differ(path.name, "is there twice")
            elif match["id"] in self._sent_to_folder:
                line.actual["files"] += 1
            elif path.name in earlier and path not in counted and not self._is_waiting(match):
                line.differ(path.name, "was not sent according to notify")
            if match:
                found.add(match["id"])
        for message_id in self._sent_to_folder - found:
            line.differ(message_id, "has no file")

    def _counted_files(self) -> set[Path]:
        """Those that were written before the checkpoint."""
        if self._cut.since is None:
            return set()
        moment = self._cut.since.checkpoint.taken_at.timestamp()
        return {path for path in self._cut.files_after if path.stat().st_mtime < moment}

    def _is_waiting(self, match: re.Match[str]) -> bool:
        """A file is written before the message's end is recorded."""
        return (match["number"], int(match["seq"]), match["recipient"]) in self._waiting


def _count_asked(line: Line, case_id: str, events: list[CaseEvent] | None, rows: list[Row]) -> None:
    asked = asked_for(case_id, events) if events else set()
    line.expected["messages asked for"] += len(asked)
    seen: set[Key] = set()
    for row in rows:
        key = Key(case_id, row["seq"], row["recipient"])
        if key in seen:
            line.differ(key, "waits, though it has ended")
        elif key not in asked:
            line.differ(key, "is in notify, but nothing in the ledger asks for it")
        else:
            line.actual[row["result"]] += 1
        seen.add(key)
    for key in sorted(asked - seen):
        line.differ(key, "is asked for by the ledger, but not in notify")


def _count_asked_again(
    line: Line, requests: list[Row], done: list[Row], waiting: list[Row]
) -> None:
    """Each request to send a message again is about one that has ended, and waits or has its own
    end."""
    ended = {(row["id"], row["seq"], row["recipient"]) for row in done}
    on_their_way = {row["again"] for row in waiting} - {None}
    for row in requests:
        line.expected["messages asked for again"] += 1
        key = Key(row["id"], row["seq"], row["recipient"])
        if key not in ended:
            line.differ(key, "is sent again, but has never ended")
        elif row["result"] is None and row["again"] not in on_their_way:
            line.differ(key, "was asked for again, but neither waits nor has ended")
        elif row["result"] is not None and row["again"] in on_their_way:
            line.differ(key, "is sent again, though that has ended")
        else:
            line.actual[row["result"] or "pending"] += 1
        on_their_way.discard(row["again"])
    for request_id in sorted(on_their_way):
        line.differ(request_id, "is sent again, but nobody asked for it")


def _first_tellings(
    line: Line, deliveries: list[Observed[MessageDelivered]]
) -> dict[tuple[str, int, str], list[Observed[MessageDelivered]]]:
    """Deliveries by event and kind of recipient, repetitions left out."""
    first: dict[UUID, Observed[MessageDelivered]] = {}
    grouped: dict[tuple[str, int, str], list[Observed[MessageDelivered]]] = defaultdict(list)
    for observed in deliveries:
        message = observed.message
        known = first.setdefault(message.message_id, observed)
        if known is observed:
            grouped[str(message.case_id), message.seq, message.recipient.value].append(observed)
        elif known.message != message:
            line.differ(message.message_id, "was told in two versions")
    return grouped


def _kind(recipient: str) -> str:
    return "lead" if recipient.startswith("lead:") else "reporter"


def _end(message: MessageDelivered) -> tuple[object, ...]:
    again = str(message.again.request_id) if message.again else None
    return message.result.value, message.provider, message.error, message.occurred_at, again
