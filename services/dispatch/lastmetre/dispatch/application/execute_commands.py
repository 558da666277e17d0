"""Actions and feedback: each answered once, in the transaction that changes the case."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.requests import (
    ActionAnswered,
    ActionRequested,
    FeedbackGiven,
    RefusalReason,
)
from lastmetre.common.contracts.topics import FIELD_OUTCOMES
from lastmetre.common.kafka.codec import cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.logs import of_case
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry
from lastmetre.dispatch.adapters.postgres.results import CommandResult, insert_results, results_of
from lastmetre.dispatch.application.cases_beside import CasesBeside, lock_all, other_case
from lastmetre.dispatch.application.events import SOURCE, append_events
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.transactions import own_transaction
from lastmetre.dispatch.domain.commands import Command, CommandId
from lastmetre.dispatch.domain.decide import decide
from lastmetre.dispatch.domain.decision import Refusal
from lastmetre.dispatch.domain.fingerprints import fingerprint, fingerprint_v0
from lastmetre.dispatch.domain.ledger import LedgerLine
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.domain.times import told_late

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

OF_OTHER_CASE: Final = frozenset({"into_case_not_open", "into_case_has_moved_on"})
"""Refusals for what happened to the case that reports were to join."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to an action, the case as it is now, and what its asker had not seen."""

    result: CommandResult
    case: Case | None
    events_since: Sequence[LedgerLine]
    """Of the case, or of the other one if that is why it was refused."""
    other: Case | None = None
    """Of a merge or a split: the other case."""

    @property
    def may_see(self) -> bool:
        """Whether the case is any of the asker's business."""
        return self.result.refusal not in ("not_your_case", "not_allowed_for_role")


class ExecuteAction:
    """A person's action, decided in a transaction of its own and answered at once."""

    def __init__(self, host: ServiceHost, network: NetworkCache) -> None:
        self._host = host
        self._network = network

    async def __call__(self, request: ActionRequested, traceparent: str) -> Outcome:
        """Decide and commit; an action that was answered before gets that answer again."""
        command = Command(request, traceparent)
        async with own_transaction(self._host) as work:
            connection = work.connection
            network = await self._network.current(connection)
            (result,) = await execute_all(work, network, [command])
            result = result or refused(command, "unknown_case", 0, work.now)
            case = await store.case_by_id(connection, request.case_id)
            other = await other_case(connection, request)
            events_since = await not_seen(connection, request, result)
        if result.refusal:
            about = of_case(request.case_id, traceparent)
            log.info("action refused", action=result.kind, reason=result.refusal, **about)
        return Outcome(result, case, events_since, other)


async def not_seen(
    connection: "Connection", request: ActionRequested, result: CommandResult
) -> Sequence[LedgerLine]:
    """What has happened since its asker looked; to the other case, if that is in the way."""
    if result.refusal in OF_OTHER_CASE and request.into_case_id:
        return await ledger.after(connection, request.into_case_id, request.into_expected_seq or 0)
    seen = request.expected_seq if request.expected_seq is not None else result.seq
    return await ledger.after(connection, request.case_id, seen)


class _Execution:
    """What a batch of requests has come to so far."""

    def __init__(
        self,
        work: UnitOfWork,
        network: Network,
        cases: dict[UUID, Case],
        beside: CasesBeside,
        given: dict[CommandId, CommandResult],
    ) -> None:
        self._work = work
        self._network = network
        self._cases = cases
        self._beside = beside
        self._given = given
        self.new: list[CommandResult] = []
        self.entries: list[LedgerEntry] = []
        self.changed: dict[UUID, Case] = {}

    def execute(self, command: Command) -> CommandResult | None:
        """Decide, unless it was decided before; None if nobody knows the case."""
        result = self._given.get(command.command_id)
        case = self._cases.get(command.case_id)
        if result is not None:
            result = replayed_result(command, result, case.seq if case else 0, self._work.now)
        elif case is not None:
            result = self._given[command.command_id] = self._decide(case, command)
            self.new.append(result)
        else:
            return None
        publish_result(self._work, command, result)
        return result

    def _decide(self, case: Case, command: Command) -> CommandResult:
        now = self._work.now
        beside = self._beside.of(command)
        decision = decide(case, command, network=self._network, now=now, beside=beside)
        if isinstance(decision, Refusal):
            return refused(command, decision.reason, case.seq, now)
        if told_late(case, command, now):
            self._work.after_commit(metrics.STEPS_TOLD_LATE.labels(command.kind).inc)
        for each in (decision, *decision.others):
            self._cases[each.case.case_id] = self.changed[each.case.case_id] = each.case
            self.entries += append_events(self._work, each.events, command.traceparent)
            self._beside.note(each.events)
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
) -> list[CommandResult | None]:
    """Answer commands in their order, in the transaction of `work`; None: nobody knows the case."""
    if not commands:
        return []
    cases, beside = await lock_all(work.connection, commands)
    # Behind the locks: what was asked twice at once has its first result by now.
    given = await results_of(work.connection, [each.request_id for each in commands])
    execution = _Execution(work, network, cases, beside, given)
    results = [execution.execute(each) for each in commands]
    await execution.write()
    return results


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
