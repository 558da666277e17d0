"""Actions that can be taken back: asked for now, decided some seconds later."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from lastmetre.common.contracts.requests import Action, ActionRequested, RefusalReason
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import cases, held_actions
from lastmetre.dispatch.adapters.postgres.results import results_of
from lastmetre.dispatch.application.cases_beside import read_beside
from lastmetre.dispatch.application.execute_commands import (
    ExecuteAction,
    Outcome,
    execute_all,
    not_seen,
    refused,
)
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.note_words import NoteWords
from lastmetre.dispatch.application.transactions import own_transaction
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.decide import decide
from lastmetre.dispatch.domain.decision import Refusal
from lastmetre.dispatch.domain.held_actions import HeldAction

log = structlog.get_logger()

CAN_BE_TAKEN_BACK: Final = frozenset(
    {
        Action.PLACE,
        Action.CANCEL,
        Action.RESOLVE,
        Action.RETURN,
        Action.REOPEN,
        Action.CHANGE_CATEGORY,
        Action.CHANGE_LOCATION,
        Action.NOTE,
        Action.MERGE,
        Action.SPLIT,
    }
)
"""What others are told of at once, or the ledger keeps for ever."""
AT_ONCE: Final = 20
AT_MOST_LATE: Final = timedelta(minutes=15)
"""So long after its time a held action is decided no more: its actor has seen other things since,
and a database that was restored may hold what he had taken back."""
LOOK_EVERY_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an action: decided, or held."""

    outcome: Outcome | None = None
    held: HeldAction | None = None


class HoldActions:
    """Holds what can be taken back for `seconds`, then decides it; others are decided at once.

    `clock` is a real one: people wait in real time, whatever time it is in the city.
    """

    def __init__(
        self,
        host: ServiceHost,
        network: NetworkCache,
        execute: ExecuteAction,
        notes: NoteWords,
        clock: Clock,
        seconds: float,
    ) -> None:
        self._host = host
        self._network = network
        self._execute = execute
        self._notes = notes
        self._clock = clock
        self._delay = timedelta(seconds=seconds)

    async def __call__(self, request: ActionRequested, traceparent: str) -> Answer:
        """Decide now, or hold; what is not allowed as things stand is refused now."""
        if request.action not in CAN_BE_TAKEN_BACK or not self._delay:
            return Answer(outcome=await self._execute(request, traceparent))
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            case = await cases.case_by_id(connection, request.case_id)
            asked_before = await held_actions.held(connection, request.action_id)
            answered = await results_of(connection, [request.action_id])
            if asked_before is not None:
                return Answer(held=asked_before)
            if case is None or answered:
                return Answer(outcome=await self._execute(request, traceparent))
            command = Command(request, traceparent)
            now = self._host.clock.now()
            network = await self._network.current(connection)
            beside = await read_beside(connection, case, command)
            decision = decide(case, command, network=network, now=now, beside=beside)
            held = HeldAction(
                request, case.number, traceparent, self._clock.now() + self._delay, None
            )
            reason = decision.reason if isinstance(decision, Refusal) else None
            if reason is None and await held_actions.hold(connection, held):
                return Answer(held=held)
            refusal = refused(command, reason or "case_has_moved_on", case.seq, now)
            since = await not_seen(connection, request, refusal)
            return Answer(outcome=Outcome(refusal, case, since, beside.other))

    async def take_back(self, action_id: UUID, actor: str) -> HeldAction | None:
        """Forget an action; None if it is decided already, or somebody else's."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            held = await held_actions.take_back(connection, action_id, actor)
        if held is not None and held.request.action is Action.NOTE:
            await self._notes.erase(action_id)
        return held

    async def of_cases(self, case_ids: Sequence[UUID]) -> dict[UUID, HeldAction]:
        """What is held of these cases, by case."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await held_actions.of_cases(connection, case_ids)

    async def refused_of(self, actor: str) -> list[HeldAction]:
        """What somebody asked for, and was refused when it was due."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await held_actions.refused_of(connection, actor)

    async def seen(self, action_id: UUID, actor: str) -> None:
        """Its actor knows that it was refused."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            await held_actions.seen(connection, action_id, actor)

    async def run(self) -> None:
        """Decide what is due, as long as the service runs, whoever held it."""
        while True:
            try:
                due = await self.decide_due()
            except DATABASE_ERRORS as error:
                log.warning("held actions wait", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if not due:
                    await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def decide_due(self) -> int:
        """Decide those that are due, at most `AT_ONCE`; returns how many."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            if not await held_actions.any_due(connection, self._clock.now()):
                return 0
        async with own_transaction(self._host) as work:
            now = self._clock.now()
            due = await held_actions.take_due(work.connection, now, AT_ONCE)
            network = await self._network.current(work.connection)
            commands = [_command(held, now) for held in due]
            results = await execute_all(work, network, commands)
            for held, result in zip(due, results, strict=True):
                refusal = "unknown_case" if result is None else result.refusal
                if refusal is not None:
                    await held_actions.hold(work.connection, held._replace(refusal=refusal))
        return len(due)


def _command(held: HeldAction, now: datetime) -> Command:
    """What is decided; what was answered before is answered the same, however late it is."""
    too_late: RefusalReason | None = None
    if now - held.due_at > AT_MOST_LATE:
        too_late = "happened_too_long_ago"
    return Command(held.request, held.traceparent, objection=too_late)
