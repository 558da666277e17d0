"""Steady traffic for the fault tests: partners, leads and residents who try again until it is done.

They know no more than real ones: whatever is not acknowledged is sent again, to the next process.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from lastmetre.devstack import Stack
from lastmetre.devstack.programs import running_processes
from tests.support.city import City, inside
from tests.support.city.lead_steps import (
    AWAY,
    TO_RATE,
    TO_STEP,
    newest_cases,
    next_step,
    rate_some,
)
from tests.support.commands import lastmetre

AGAIN_SECONDS: Final = 0.3
REPORTS_A_TURN: Final = 20
STEPS_A_TURN: Final = 12
RATINGS_A_TURN: Final = 4
WITH_MAIL: Final = 5
"""Where mail is wanted, every fifth reporter leaves an address."""


class Traffic:
    """Reports by `report`, what follows by `handle`, each until `enough` is set."""

    def __init__(self, stack: Stack, city: City, *, mail: bool = False) -> None:
        self.enough = asyncio.Event()
        self.receipts: list[str] = []
        self.asked = 0
        self.rated = 0
        self._stack = stack
        self._city = city
        self._mail = mail
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
                {
                    "source_id": f"{name}-{n}", "text": "井盖松动", "position": inside(n % 3),
                    **self._contact(f"{name}-{n}", n),
                }
                for n in range(sent, sent + REPORTS_A_TURN)
            ]  # fmt: skip
            self.receipts += await self._taken(items)
            sent += REPORTS_A_TURN
            await asyncio.sleep(AGAIN_SECONDS)

    def _contact(self, name: str, number: int) -> dict[str, Any]:
        wanted = self._mail and number % WITH_MAIL == 0
        return {"contact": {"email": f"{name}@reporters.example"}} if wanted else {}

    async def _taken(self, items: list[dict[str, Any]]) -> list[str]:
        headers = self._city.credentials.channel("app")
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
        cases = await newest_cases(await self._city.database("dispatch"), TO_STEP, STEPS_A_TURN)
        self.asked += len(cases)
        await asyncio.gather(
            *(
                next_step(self._city, self._next("dispatch"), number, case)
                for number, case in enumerate(cases)
            )
        )

    async def _ratings(self) -> None:
        closed = await newest_cases(await self._city.database("dispatch"), TO_RATE, RATINGS_A_TURN)
        self.rated += await rate_some(self._city, closed)


def _is_at_rest(state: str | None) -> bool:
    return state is None or state.startswith(("STOPPED", "EXITED", "FATAL", "UNKNOWN"))


@asynccontextmanager
async def steady_traffic(
    stack: Stack, city: City, receipts: Path, *, mail: bool = False
) -> AsyncIterator[Traffic]:
    """Reports and what follows until left; then the books balance, with every receipt given.

    With `mail` some reporters are written to.
    """
    await city.import_network()
    traffic = Traffic(stack, city, mail=mail)
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
