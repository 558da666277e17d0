"""Plays a planned day: every report, step and rating when its time in the city has come."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from lastmetre.cli.endpoints import Endpoints, default_home
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.cases import Assignment, CaseClosed, CaseEvent
from lastmetre.common.service.ids import trace_id
from lastmetre.devstack.demo.actors import Actors
from lastmetre.devstack.demo.case_tracker import Ledger, TrackedCase, traceparent_of
from lastmetre.devstack.demo.scenario import Day, PlannedReport
from lastmetre.devstack.demo.time_lapse import DayTimeLapse

JOINED_AFTER: Final = timedelta(minutes=20)
"""So long an operator takes to see that a problem had been reported before."""
TICK_SECONDS: Final = 0.25
"""People act in bursts: what comes together is handled in one batch."""


@dataclass
class Played:
    """How far the play has come: `now` in city time, and what was done since it began."""

    now: datetime
    reports: int = 0
    steps: int = 0
    ratings: int = 0


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    order: int
    act: Callable[[], Coroutine[Any, Any, None]] = field(compare=False)


class Play:
    """One performance. `told` is told now and then how far it has come."""

    def __init__(
        self,
        day: Day,
        time_lapse: DayTimeLapse,
        endpoints: Endpoints,
        on_progress: Callable[[Played], None],
    ) -> None:
        self._reports = {trace_id(traceparent_of(r.source_id)): r for r in day.reports}
        self._time_lapse = time_lapse
        self._endpoints = endpoints
        self._on_progress = on_progress
        self._cases: dict[UUID, TrackedCase] = {}
        self._there: set[str] = set()
        self._waiting: dict[str, float] = {}
        """Reports sent that are no case yet, each with when it was sent, monotonic seconds."""
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._under_way: dict[asyncio.Task[None], float] = {}
        """What people are doing, each with when it was due, monotonic seconds."""
        self.played = Played(time_lapse.now())

    async def perform(self) -> None:
        """Play to the end. What is there from an earlier performance is not done again."""
        broker = Installation.of_stack(self._endpoints, default_home()).broker()
        async with AsyncExitStack() as resources:
            ledger = await resources.enter_async_context(Ledger.open(*broker))
            self._actors = await resources.enter_async_context(
                Actors.ready(self._endpoints, broker.access, self._time_lapse)
            )
            while not await ledger.caught_up():
                self._take_in(await ledger.read())
            for report in self._reports.values():
                if report.source_id not in self._there:
                    self._at(report.reported_at, partial(self._report, report))
            following = asyncio.create_task(self._follow(ledger))
            try:
                await self._run(following)
            finally:
                for task in (following, *self._under_way):
                    task.cancel()
                await asyncio.gather(following, *self._under_way, return_exceptions=True)

    async def _run(self, following: asyncio.Task[None]) -> None:
        while not self._time_lapse.is_over or self._under_way:
            self.played.now = self._time_lapse.now()
            while self._due and self._due[0].at <= self.played.now:
                self._begin(heapq.heappop(self._due).act())
            self._on_progress(self.played)
            self._time_lapse.keep_pace(self._longest_wait())
            await asyncio.sleep(TICK_SECONDS)
            for task in [each for each in (following, *self._under_way) if each.done()]:
                self._under_way.pop(task, None)
                task.result()

    def _longest_wait(self) -> float:
        now = time.monotonic()
        began = (next(iter(each.values()), now) for each in (self._waiting, self._under_way))
        return now - min(began)

    def _begin(self, act: Coroutine[Any, Any, None]) -> None:
        self._under_way[asyncio.create_task(act)] = time.monotonic()

    def _at(self, at: datetime, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        heapq.heappush(self._due, _Due(at, next(self._order), act))

    # --- what the ledger tells

    async def _follow(self, ledger: Ledger) -> None:
        while True:
            self._take_in(await ledger.read())

    def _take_in(self, events: list[tuple[str, CaseEvent]]) -> None:
        for trace, event in events:
            case = self._cases.get(event.case_id)
            if case is None:
                if event.seq == 1 and trace in self._reports:
                    report = self._reports[trace]
                    self._there.add(report.source_id)
                    self._waiting.pop(report.source_id, None)
                    self._cases[event.case_id] = TrackedCase(report, event.case_id)
                continue
            since = case.apply(event)
            if since is not None:
                self._plan_step(case, since)
            elif case.report.same_as and isinstance(event, Assignment):
                at = event.occurred_at + JOINED_AFTER
                self._at(at, partial(self._merge, case, at))
            elif isinstance(event, CaseClosed) and case.report.rating and not case.rated:
                self._plan_rating(case, event.occurred_at + case.report.rating.after)

    def _plan_step(self, case: TrackedCase, since: datetime) -> None:
        step = case.next_step
        assert step is not None
        fixed = case.report.fixed_on_spot
        at = case.report.reported_at if fixed else since + step.after
        if at <= self._time_lapse.last_step:
            self._at(at, partial(self._step, case, case.seq, at))

    def _plan_rating(self, case: TrackedCase, at: datetime) -> None:
        if at <= self._time_lapse.last_step:
            self._at(at, partial(self._rate, case))

    # --- what people do

    async def _report(self, report: PlannedReport) -> None:
        self._waiting[report.source_id] = time.monotonic()
        await self._actors.report(report)
        self.played.reports += 1

    async def _step(self, case: TrackedCase, seen: int, at: datetime) -> None:
        step = case.next_step
        if step is None or case.seq != seen:
            return  # It was done before, or the case has taken another way.
        if await self._actors.act(case, step, at):
            self.played.steps += 1

    async def _merge(self, case: TrackedCase, at: datetime) -> None:
        earlier = case.report.same_as
        into = next((e for e in self._cases.values() if e.report.source_id == earlier), None)
        if case.merged or into is None:
            return
        if await self._actors.merge(case, into, at):
            self.played.steps += 1

    async def _rate(self, case: TrackedCase) -> None:
        if case.rated or case.report.rating is None:
            return
        await self._actors.rate(case, case.report.rating)
        self.played.ratings += 1
