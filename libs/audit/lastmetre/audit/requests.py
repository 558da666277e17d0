"""What was asked of dispatch: actions and feedback, each answered once, and the answers told."""

from typing import Final
from uuid import UUID

from lastmetre.audit.balance import BEFORE, Balance, Line
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.feedback import check_refused, effects
from lastmetre.audit.partition_view import Observed, PartitionView
from lastmetre.audit.since_checkpoint import answered_before
from lastmetre.audit.snapshot import Row
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.requests import ActionAnswered, ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import CASE_EVENTS, FEEDBACK, FIELD_ACTIONS, FIELD_OUTCOMES

FIRST_REPORTER: Final = UUID(int=0)
"""How notify's table names the reporter whose report the case was registered for."""
_NEITHER: Final = "is neither on the topic nor in the outbox"


class RequestLines:
    """Goes through the partitions; `finish` after the last one."""

    def __init__(self, cut: ConsistentCut, balance: Balance) -> None:
        self._cut = cut
        self._balance = balance
        self._observed_answers: set[str] = set()
        self._ratings: set[str] = set()

    async def check(self, partition_view: PartitionView) -> None:
        """Count one partition."""
        asked = {str(each.message.action_id) for each in partition_view.actions}
        asked |= {str(each.message.action_id) for each in partition_view.outcomes}
        asked |= {str(each.message.feedback_id) for each in partition_view.feedback}
        rated = {
            identity: (str(event.case_id), event.seq)
            for identity, event in effects(partition_view).items()
        }
        rows = await self._cut.dispatch.rows(
            "SELECT request_id::text AS id, case_id, kind, refusal, seq, answered_at,"  # noqa: S608
            f" {self._cut.dispatch.recent} AS recent FROM answer"
            " WHERE request_id = ANY($1::uuid[])",
            [*asked, *rated],
        )
        # Actions and feedback do not share their ids.
        actions = {row["id"]: row for row in rows if row["kind"] != "feedback"}
        feedback = {row["id"]: row for row in rows if row["kind"] == "feedback"}
        self._read(partition_view, FIELD_ACTIONS, self._balance.line("actions"), actions)
        self._read(partition_view, FEEDBACK, self._balance.line("feedback"), feedback)
        self._outcomes(partition_view, actions)
        self._granted(partition_view, rated, feedback)
        thanked = await self._feedback_told(partition_view)
        check_refused(self._cut, self._balance, partition_view, feedback, thanked)

    def _read(
        self, partition_view: PartitionView, topic: str, line: Line, answers: dict[str, Row]
    ) -> None:
        """Each request below dispatch's position was answered, waits parked, or was given up."""
        snapshot, place = self._cut.dispatch, (topic, partition_view.partition)
        flow = READERS["dispatch"][topic]
        position = self._cut.position(snapshot, place)
        requests: list[Observed[ActionRequested]] | list[Observed[FeedbackGiven]] = (
            partition_view.actions if topic == FIELD_ACTIONS else partition_view.feedback
        )
        seen: set[str] = set()
        found = [(each.offset, _request_id(each.message)) for each in requests]
        found += [(offset, "") for offset in partition_view.unreadable[topic]]
        for offset, identity in found:
            if not 0 <= offset < position:
                continue
            line.expected["below its position"] += 1
            key = (flow, place, offset)
            if identity in seen:
                line.actual["asked again"] += 1
            elif identity in answers:
                line.actual["answered"] += 1
                seen.add(identity)
            elif key in snapshot.parked:
                line.actual["parked"] += 1
            elif key in snapshot.dead:
                line.actual["dead"] += 1
            elif not identity and key in snapshot.replayed:
                line.actual["replayed"] += 1
            else:
                name = identity or f"{topic}/{partition_view.partition}/{offset}"
                line.differ(name, "was read, but not answered, parked or given up")

    def _outcomes(self, partition_view: PartitionView, answers: dict[str, Row]) -> None:
        """Each answer that was told is the one that was given."""
        line = self._balance.line("outcomes")
        before = self._cut.before[FIELD_OUTCOMES, partition_view.partition]
        for observed in partition_view.outcomes:
            identity = str(observed.message.action_id)
            row = answers.get(identity)
            if row is None:
                if observed.offset < before:
                    line.differ(identity, "was told, but not given in dispatch")
            elif observed.message.refusal == "action_id_used":
                continue  # The answer in the books is to the first that came under this id.
            elif _says(row) != _outcome_fields(observed.message):
                line.differ(identity, "was told otherwise than it was given")
            elif identity not in self._observed_answers and row["recent"]:
                self._observed_answers.add(identity)
                line.actual["on the topic" if observed.offset >= 0 else "in dispatch's outbox"] += 1

    def _granted(
        self,
        partition_view: PartitionView,
        rated: dict[str, tuple[str, int]],
        answers: dict[str, Row],
    ) -> None:
        """Each rating in the ledger was asked for and granted."""
        line = self._balance.line("ratings")
        for identity, (case_id, seq) in rated.items():
            row = answers.get(identity)
            self._ratings.add(identity)
            if row is None or row["refusal"] is not None:
                if seq <= self._last(partition_view, case_id):
                    line.differ(identity, f"is in the ledger of {case_id}, but was not granted")
            elif row["recent"]:
                line.actual["ratings in the ledger"] += 1

    def _last(self, partition_view: PartitionView, case_id: str) -> int:
        """The last seq below the first ends: what any snapshot of dispatch must know."""
        before = self._cut.before[CASE_EVENTS, partition_view.partition]
        events = partition_view.ledgers[case_id].events
        return max((seq for seq, observed in events.items() if observed.offset < before), default=0)

    async def _feedback_told(self, partition_view: PartitionView) -> set[str]:
        """Each rating that notify took is on the topic as it was given, or on its way there.

        Returns the ids of the ratings: their givers were thanked.
        """
        line = self._balance.line("feedback_told")
        observed: dict[str, Observed[FeedbackGiven]] = {}
        for each in partition_view.feedback:
            observed.setdefault(str(each.message.feedback_id), each)
        rows = await self._cut.notify.rows(
            """
            SELECT feedback_id::text AS id, case_id, closing, solved, score, reopen, report_id,
                true AS rated
            FROM rating WHERE case_id = ANY($1::uuid[]) OR feedback_id = ANY($2::uuid[])
            UNION ALL
            SELECT reopening_id::text, case_id, closing, false, score, true, report_id, false
            FROM rating
            WHERE reopening_id IS NOT NULL
                AND (case_id = ANY($1::uuid[]) OR reopening_id = ANY($2::uuid[]))
            """,
            partition_view.case_ids,
            list(observed),
        )
        unseen = [row["id"] for row in rows if row["id"] not in observed]
        counted_before = await answered_before(self._cut, unseen)
        for row in rows:
            line.expected["ratings in notify"] += 1
            found = observed.pop(row["id"], None)
            if found is None and row["id"] in counted_before:
                line.actual[BEFORE] += 1
                continue
            if found is None:
                line.differ(row["id"], _NEITHER)
                continue
            line.actual["on the topic" if found.offset >= 0 else "in notify's outbox"] += 1
            given = found.message
            says = (row["solved"], row["score"], row["reopen"])
            about = (row["case_id"], row["closing"], row["report_id"])
            if (*about, *says) != (
                given.case_id, given.closing, given.report_id or FIRST_REPORTER,
                given.solved, given.score, given.reopen,
            ):  # fmt: skip
                line.differ(row["id"], "says something else on the topic")
        before = self._cut.before[FEEDBACK, partition_view.partition]
        for identity, each in observed.items():
            if each.offset < before:
                line.differ(identity, "is told, but nobody gave it in notify")
        # Who asks to take a case up again is told that it is once it is, and not before.
        return {row["id"] for row in rows if row["rated"]}

    async def finish(self) -> None:
        """Answers that nobody was told, and ratings that were granted but not recorded."""
        line = self._balance.line("outcomes")
        granted = self._balance.line("ratings")
        async for identity, case_id, kind, refusal in self._cut.dispatch.stream(
            "SELECT request_id::text, case_id::text, kind, refusal FROM answer"  # noqa: S608
            f" WHERE {self._cut.dispatch.recent}"
        ):
            if kind == "feedback":
                if refusal is None:
                    granted.expected["feedback granted"] += 1
                    if identity not in self._ratings:
                        granted.differ(identity, f"was granted, but {case_id} has no such rating")
                continue
            line.expected["actions answered"] += 1
            if identity not in self._observed_answers:
                if self._cut.was_trimmed(FIELD_OUTCOMES, case_id):
                    line.actual["no longer kept"] += 1
                else:
                    line.differ(identity, _NEITHER)


def _request_id(message: ActionRequested | FeedbackGiven) -> str:
    return str(message.action_id if isinstance(message, ActionRequested) else message.feedback_id)


def _says(row: Row) -> tuple[object, ...]:
    return row["case_id"], row["kind"], row["refusal"], row["seq"], row["answered_at"]


def _outcome_fields(answer: ActionAnswered) -> tuple[object, ...]:
    return answer.case_id, answer.action.value, answer.refusal, answer.seq, answer.answered_at
