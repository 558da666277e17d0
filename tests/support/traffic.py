"""Steady traffic for the fault tests: partners, leads and residents who try again until it is done.

They know no more than real ones: whatever is not acknowledged is sent again, to the next process.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from common.contracts.base import Actor, ActorRole
from common.contracts.requests import Action, ActionRequested
from common.runtime.database import TRANSIENT
from common.web.access import Role
from tests.support.city import City, inside

AWAY: Final = (*TRANSIENT, KafkaError, httpx.TransportError)
AGAIN_SECONDS: Final = 0.3
HANDLED_A_TURN: Final = 12


class Traffic:
    """Reports by `report`, what follows by `handle`, each until `enough` is set."""

    def __init__(self, city: City, processes: Callable[[str], list[str]]) -> None:
        self.enough = asyncio.Event()
        self.receipts: list[str] = []
        self.asked = 0
        self.rated = 0
        self._city = city
        self._processes = processes
        self._turn = 0

    # --- partners -----------------------------------------------------------------------

    async def report(self, name: str, a_turn: int, pause: float) -> None:
        """Send arrays of reports, one after the other."""
        sent = 0
        while not self.enough.is_set():
            items: list[dict[str, Any]] = [
                {"source_id": f"{name}-{n}", "text": "井盖松动", "position": inside(n % 3)}
                for n in range(sent, sent + a_turn)
            ]
            self.receipts += await self._taken(items)
            sent += a_turn
            await asyncio.sleep(pause)

    async def _taken(self, items: list[dict[str, Any]]) -> list[str]:
        headers = {"X-API-Key": self._city.endpoints["channel_keys"]["app"]}
        while True:
            url = f"{self._next('intake')}/channels/app/reports"
            try:
                answer = await self._city.http.post(url, json=items, headers=headers)
            except AWAY:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if answer.status_code == 202:
                return [each["receipt"] for each in answer.json()["items"]]
            await asyncio.sleep(AGAIN_SECONDS)

    def _next(self, service: str) -> str:
        """The process of a service whose turn it is."""
        urls = self._processes(service)
        self._turn += 1
        return urls[self._turn % len(urls)]

    # --- leads and residents ------------------------------------------------------------

    async def handle(self, pause: float) -> None:
        """Leads accept and resolve, half of them by HTTP; residents rate what was closed."""
        while not self.enough.is_set():
            for look in (self._lead_steps, self._ratings):
                try:
                    await look()
                except AWAY:
                    await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(pause)

    async def _lead_steps(self) -> None:
        rows = await self._cases("state IN ('dispatched', 'accepted') AND is_open", HANDLED_A_TURN)
        steps: list[Awaitable[object]] = []
        for n, row in enumerate(rows):
            action = Action.ACCEPT if row["state"] == "dispatched" else Action.RESOLVE
            if n % 2:
                url = f"{self._next('dispatch')}/work/cases/{row['case_id']}/actions"
                steps.append(
                    self._city.http.post(
                        url,
                        json={"action": action.value},
                        headers=self._city.bearer(Role.LEAD, row["lead_id"]),
                    )
                )
            else:
                steps.append(self._city.ask(_asked(row["case_id"], action, row["lead_id"])))
        self.asked += len(steps)
        await asyncio.gather(*steps)

    async def _ratings(self) -> None:
        rows = await self._cases("state = 'closed' AND rated = '{}'", HANDLED_A_TURN // 3)
        for row in rows:
            answer = await self._city.rate(row["case_id"], row["closings"][-1], score=4)
            self.rated += answer.is_success

    async def _cases(self, such: str, count: int) -> list[asyncpg.Record]:
        dispatch = await self._city.database("dispatch")
        return await dispatch.fetch(
            f'SELECT case_id, state, lead_id, closings FROM "case" WHERE {such}'
            " AND lead_id IS NOT NULL ORDER BY case_id DESC LIMIT $1",
            count,
        )


def _asked(case_id: UUID, action: Action, lead_id: str) -> ActionRequested:
    return ActionRequested(
        case_id=case_id,
        action_id=uuid.uuid4(),
        action=action,
        actor=Actor(role=ActorRole.LEAD, id=lead_id),
        occurred_at=datetime.now(UTC),
    )
