"""Actions and feedback: each answered once, in the transaction that changes the case."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.requests import (
    ActionAnswered,
    ActionRequested,
    FeedbackGiven,
    RefusalReason,
)
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_OUTCOMES
from lastmetre.common.kafka.codec import ConsumedRecord, cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry
from lastmetre.dispatch.adapters.postgres.results import (
    CommandId,
    CommandResult,
    insert_results,
    results_of,
)
from lastmetre.dispatch.application.publish_network import SOURCE
from lastmetre.dispatch.domain.decide import Decision, Refusal, decide, decide_feedback
from lastmetre.dispatch.domain.fingerprints import fingerprint, fingerprint_v0, kind_of
from lastmetre.dispatch.domain.network import Network

KNOWN_WITHIN: Final = timedelta(minutes=10)
"""How long an action may wait for its case to become known."""


class Command(NamedTuple):
    """An action or a feedback, with the record that it came in, if it came in one."""

    request: ActionRequested | FeedbackGiven
    record: ConsumedRecord | None
    traceparent: str
    source: str | None = None
    """The system that sent it, where it came from outside."""
    objection: RefusalReason | None = None
    """Why that system may not ask for this, whatever the case."""

    @property
    def request_id(self) -> UUID:
        """The request's own id."""
        request = self.request
        return request.action_id if isinstance(request, ActionRequested) else request.feedback_id

    @property
    def kind(self) -> str:
        """What was asked for."""
        return kind_of(self.request)

    @property
    def command_id(self) -> CommandId:
        """What its result is found by."""
        return isinstance(self.request, FeedbackGiven), self.request_id


def append_events(
    work: UnitOfWork, events: Sequence[CaseEvent], traceparent: str
) -> list[LedgerEntry]:
    """Put events of one case onto their topic; returns them as the ledger is to keep them."""
    key = str(events[0].case_id)
    entries: list[LedgerEntry] = []
    for event in events:
        message = cloud_event(
            event,
            topic=CASE_EVENTS,
            key=key,
            event_id=f"{key}:{event.seq}",
            source=SOURCE,
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
            traceparent=traceparent,
        )
        work.send(message)
        entries.append(LedgerEntry(event, message.value or b"", traceparent))
    return entries


class _Execution:
    """What a batch of requests has come to so far."""

    def __init__(
        self,
        work: UnitOfWork,
        network: Network,
        cases: dict[UUID, Case],
        given: dict[CommandId, CommandResult],
    ) -> None:
        self._work = work
        self._network = network
        self._cases = cases
        self._given = given
        self.new: list[CommandResult] = []
        self.entries: list[LedgerEntry] = []
        self.changed: dict[UUID, Case] = {}

    def can_decide(self, command: Command) -> bool:
        """Whether this can be answered now."""
        return command.command_id in self._given or command.request.case_id in self._cases

    def execute(self, command: Command) -> CommandResult:
        """Decide, unless it was decided before."""
        result = self._given.get(command.command_id)
        if result is None:
            result = self._given[command.command_id] = self._decide(command)
            self.new.append(result)
        else:
            case = self._cases.get(command.request.case_id)
            result = replayed_result(command, result, case.seq if case else 0, self._work.now)
        publish_result(self._work, command, result)
        return result

    def _decide(self, command: Command) -> CommandResult:
        request, now = command.request, self._work.now
        case = self._cases[request.case_id]
        decision: Decision | Refusal
        if command.objection is not None:
            decision = Refusal(command.objection)
        elif isinstance(request, ActionRequested):
            decision = decide(case, request, network=self._network, now=now, source=command.source)
        else:
            decision = decide_feedback(case, request, network=self._network, now=now)
        if isinstance(decision, Refusal):
            return refused(command, decision.reason, case.seq, now)
        self._cases[case.case_id] = decision.case
        self.changed[case.case_id] = decision.case
        self.entries += append_events(self._work, decision.events, command.traceparent)
        return _result(command, None, decision.case.seq, now)

    async def write(self) -> None:
        """All of it in three statements."""
        connection = self._work.connection
        if self.changed:
            await store.update_cases(connection, list(self.changed.values()))
            await ledger.append(connection, self.entries)
        if self.new:
            await insert_results(connection, self.new)


def refused(command: Command, reason: RefusalReason, seq: int, now: datetime) -> CommandResult:
    """What is answered to something that is not done; `seq` is the case's last one, or 0."""
    return _result(command, reason, seq, now)


def _result(
    command: Command, refusal: RefusalReason | None, seq: int, now: datetime
) -> CommandResult:
    request = command.request
    return CommandResult(
        command.request_id,
        request.case_id,
        command.kind,
        refusal,
        seq,
        now,
        fingerprint(request),
        fingerprint_v0(request),
    )


def replayed_result(
    command: Command, given: CommandResult, seq: int, now: datetime
) -> CommandResult:
    """The answer that was given under this id; refused if it was given to something else."""
    if given.kind == command.kind and _same(command.request, given):
        return given
    return refused(command, "action_id_used", seq, now)


def _same(request: ActionRequested | FeedbackGiven, given: CommandResult) -> bool:
    """Whether it is what was asked then; if nobody knows, it is taken to be."""
    if given.fingerprint is not None:
        return given.fingerprint == fingerprint(request)
    return given.fingerprint_v0 in (fingerprint_v0(request), None)


async def execute_all(
    work: UnitOfWork, network: Network, commands: Sequence[Command]
) -> tuple[list[CommandResult], list[Command]]:
    """Answer what can be answered, in order; returns the answers, and whose case is not known."""
    if not commands:
        return [], []
    cases = await store.lock_cases(work.connection, {each.request.case_id for each in commands})
    # Behind the locks: what was asked twice at once has its first result by now.
    given = await results_of(work.connection, [each.request_id for each in commands])
    execution = _Execution(work, network, cases, given)
    done: list[CommandResult] = []
    unknown: list[Command] = []
    for each in commands:
        if execution.can_decide(each):
            done.append(execution.execute(each))
        else:
            unknown.append(each)
    await execution.write()
    return done, unknown


def publish_result(work: UnitOfWork, command: Command, result: CommandResult) -> None:
    """Answer an action on `field.outcomes`; a feedback is answered by the ledger alone."""
    if not isinstance(command.request, ActionRequested):
        return
    key = str(result.case_id)
    message = ActionAnswered.model_validate(
        {
            "case_id": result.case_id,
            "action_id": result.request_id,
            "action": result.kind,
            "done": result.refusal is None,
            "refusal": result.refusal,
            "seq": result.seq,
            "answered_at": result.answered_at,
        }
    )
    work.send(
        cloud_event(
            message,
            topic=FIELD_OUTCOMES,
            key=key,
            event_id=str(result.request_id),
            source=SOURCE,
            occurred_at=result.answered_at,
            recorded_at=work.now,
            traceparent=command.traceparent,
        )
    )


async def refuse_unknown(work: UnitOfWork, commands: Sequence[Command], now: datetime) -> None:
    """Their cases never came: refused, with that reason."""
    given = await results_of(work.connection, [each.request_id for each in commands])
    new: list[CommandResult] = []
    for each in commands:
        known = given.get(each.command_id)
        if known is None:
            result = given[each.command_id] = refused(each, "unknown_case", 0, now)
            new.append(result)
        else:
            result = replayed_result(each, known, 0, now)
        publish_result(work, each, result)
    await insert_results(work.connection, new)
