"""Steady traffic for the fault tests: partners, leads and residents who try again until it is done.

They know no more than real ones: whatever is not acknowledged is sent again, to the next process.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from lastmetre.devstack.programs import running_processes
from tests.support.city import City, inside
from tests.support.commands import lastmetre

AWAY: Final = (*DATABASE_ERRORS, asyncpg.PostgresError, KafkaError, httpx.TransportError)
AGAIN_SECONDS: Final = 0.3
REPORTS_A_TURN: Final = 20
STEPS_A_TURN: Final = 12
RATINGS_A_TURN: Final = 4


class Traffic:
    """Reports by `report`, what follows by `handle`, each until `enough` is set."""

    def __init__(self, stack: Stack, city: City) -> None:
        self.enough = asyncio.Event()
        self.receipts: list[str] = []
        self.asked = 0
        self.rated = 0
        self._stack = stack
        self._city = city
        self._turn = 0

    def _next(self, service: str) -> str:
        """The process of a service whose turn it is."""
        urls = self._stack.endpoints.instances[service]
        self._turn += 1
        return urls[self._turn % len(urls)]

    async def report(self) -> None:
        """Arrays of reports, one after the other."""
        name = uuid.uuid4()
        sent = 0
        while not self.enough.is_set():
            items: list[dict[str, Any]] = [
                {"source_id": f"{name}-{n}", "text": "井盖松动", "position": inside(n % 3)}
                for n in range(sent, sent + REPORTS_A_TURN)
            ]
            self.receipts += await self._taken(items)
            sent += REPORTS_A_TURN
            await asyncio.sleep(AGAIN_SECONDS)

    async def _taken(self, items: list[dict[str, Any]]) -> list[str]:
        headers = {"X-API-Key": self._city.endpoints["channel_keys"]["app"]}
        while True:
            url = f"{self._next('intake')}/channels/app/reports"
            try:
                answer = await self._city.http.post(url, json=items, headers=headers)
            except httpx.TransportError:
                if self.enough.is_set():
                    await asyncio.to_thread(self._check_runs, "intake")
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if answer.status_code == 202:
                return [each["receipt"] for each in answer.json()["items"]]
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(AGAIN_SECONDS)

    def _check_runs(self, service: str) -> None:
        """Nobody starts a stopped service any more once there has been enough: waiting is vain."""
        processes = running_processes(self._stack.home.root)
        states = {
            name: f"{each['statename']} ({each['exitstatus']})"
            for name, each in processes.items()
            if each["name"].startswith(f"{service}-")
        }
        wanted = [f"{service}-{n}" for n in range(len(self._stack.endpoints.instances[service]))]
        stopped = {name: states.get(name) for name in wanted if _is_at_rest(states.get(name))}
        assert len(stopped) < len(wanted), f"reports are not taken: {stopped}"

    async def handle(self) -> None:
        """Leads accept and resolve, half of them by a form; residents rate what was closed."""
        while not self.enough.is_set():
            for turn in (self._lead_steps, self._ratings):
                try:
                    await turn()
                except AWAY:
                    await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _lead_steps(self) -> None:
        rows = await self._cases("state IN ('dispatched', 'accepted') AND is_open", STEPS_A_TURN)
        steps: list[Awaitable[object]] = []
        for n, row in enumerate(rows):
            action = Action.ACCEPT if row["state"] == "dispatched" else Action.RESOLVE
            if n % 2:
                step = self._city.http.post(
                    f"{self._next('dispatch')}/work/cases/{row['case_id']}/actions",
                    data={"action": action.value},
                    headers=self._city.bearer(Role.LEAD, row["lead_id"]),
                )
                steps.append(step)
            else:
                steps.append(self._city.ask(_asked(row["case_id"], action, row["lead_id"])))
        self.asked += len(steps)
        await asyncio.gather(*steps)

    async def _ratings(self) -> None:
        for row in await self._cases("state = 'closed' AND rated = '{}'", RATINGS_A_TURN):
            answer = await self._city.rate_by_form(row["case_id"], row["closings"][-1])
            self.rated += answer.is_redirect

    async def _cases(self, such: str, count: int) -> list[asyncpg.Record]:
        dispatch = await self._city.database("dispatch")
        return await dispatch.fetch(
            f'SELECT case_id, state, lead_id, closings FROM "case" WHERE {such}'
            " AND lead_id IS NOT NULL ORDER BY case_id DESC LIMIT $1",
            count,
        )


def _is_at_rest(state: str | None) -> bool:
    return state is None or state.startswith(("STOPPED", "EXITED", "FATAL", "UNKNOWN"))


def _asked(case_id: UUID, action: Action, lead_id: str) -> ActionRequested:
    return ActionRequested(
        case_id=case_id,
        action_id=uuid.uuid4(),
        action=action,
        actor=Actor(role=ActorRole.LEAD, id=lead_id),
        occurred_at=datetime.now(UTC),
    )


@asynccontextmanager
async def steady_traffic(stack: Stack, city: City, receipts: Path) -> AsyncIterator[Traffic]:
    """Reports and what follows until left; then the books balance, with every receipt given."""
    await city.import_network()
    traffic = Traffic(stack, city)
    working = [asyncio.create_task(traffic.report()), asyncio.create_task(traffic.handle())]
    try:
        yield traffic
        traffic.enough.set()
        await asyncio.gather(*working)
    finally:
        # What failed in the block is the reason, and services may be stopped by now.
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    print(f"{len(traffic.receipts)} reports, {traffic.asked} steps, {traffic.rated} ratings")
    assert len(set(traffic.receipts)) == len(traffic.receipts)
    receipts.write_text("\n".join(traffic.receipts))
    await lastmetre(stack, "audit", "--receipts", receipts)
