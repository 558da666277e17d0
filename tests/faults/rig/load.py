"""Live load: reports until each has its receipt, steps of leads, ratings of residents."""

import asyncio
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from lastmetre.cli.endpoints import SENDERS
from tests.support.city import City, inside
from tests.support.city.lead_steps import (
    AWAY,
    TO_RATE,
    TO_STEP,
    newest_cases,
    next_step,
    rate_some,
)

POSTS_A_SECOND: Final = 50
STEPS_A_SECOND: Final = 10
RATINGS_A_SECOND: Final = 2
AGAIN_SECONDS: Final = 0.5
IN_FLIGHT: Final = 400
"""Reports waiting for their receipt; when so many do, no new ones come until some have it."""
WITH_MAIL: Final = 5
"""Every fifth reporter leaves an address, so that doubled messages can be seen."""


class Load:
    """Reports and steps until `stop`. `urls` names the processes of a service that may be asked;
    `database` is dispatch's, for reading."""

    def __init__(
        self,
        city: City,
        urls: Callable[[str], list[str]],
        database: Callable[[], str],
        posts_a_second: int = POSTS_A_SECOND,
    ) -> None:
        self.receipts: dict[str, str] = {}
        """Receipt of each report, by its source id."""
        self.taken_at: list[float] = []
        self._waited: list[tuple[float, float]] = []
        self.statuses: Counter[int] = Counter()
        """Answers to POSTs; 0 for none."""
        self.steps = 0
        self.ratings = 0
        self._city = city
        self._urls = urls
        self._database = database
        self._pause = 1 / posts_a_second
        self._enough = asyncio.Event()
        self._taken = asyncio.Event()
        self._turn = itertools.count()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._name = uuid.uuid4().hex[:12]

    def longest_gap(self, since: float) -> float:
        """The longest time since then in which no report was taken."""
        times = [since, *(each for each in self.taken_at if each > since)]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    def slowest(self, since: float) -> float:
        """The longest time that a report which began since then had to wait for its receipt."""
        return max((seconds for began, seconds in self._waited if began > since), default=0.0)

    def write(self, file: Path) -> None:
        """The receipts as `lastmetre audit --receipts` reads them."""
        sender = SENDERS["app"]  # type: ignore[index]
        lines = (
            {"receipt": receipt, "sender": sender, "channel": "app", "source_id": source_id}
            for source_id, receipt in self.receipts.items()
        )
        file.write_text("\n".join(map(json.dumps, lines)), "utf-8")

    async def until(self, count: int, seconds: float = 120.0) -> None:
        """Until so many reports have their receipts."""
        async with asyncio.timeout(seconds):
            while len(self.receipts) < count:
                await self._taken.wait()
                self._taken.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """While in the block, and then until every report has its receipt."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports(group))
            group.create_task(self._each_second(self._lead_steps))
            group.create_task(self._each_second(self._rate))
            try:
                yield self
            finally:
                self._enough.set()

    async def _reports(self, group: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        for number in itertools.count():
            if self._enough.is_set():
                return
            await self._room.acquire()
            group.create_task(self._report(number))
            due = max(due + self._pause, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _report(self, number: int) -> None:
        source_id = f"{self._name}-{number}"
        body: dict[str, Any] = {
            "source_id": source_id, "text": "井盖松动", "position": inside(number % 3),
        }  # fmt: skip
        if number % WITH_MAIL == 0:
            body["contact"] = {"email": f"{source_id}@reporters.example"}
        headers = self._city.credentials.channel("app")
        began = time.monotonic()
        try:
            while source_id not in self.receipts:
                url = f"{self._next('intake')}/channels/app/reports"
                try:
                    answer = await self._city.http.post(url, json=body, headers=headers)
                except httpx.TransportError:
                    self.statuses[0] += 1
                else:
                    self.statuses[answer.status_code] += 1
                    assert answer.status_code in (202, 503), answer.text
                    if answer.status_code == 202:
                        self.receipts[source_id] = answer.json()["receipt"]
                        self.taken_at.append(time.monotonic())
                        self._waited.append((began, time.monotonic() - began))
                        self._taken.set()
                        return
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._room.release()

    def _next(self, service: str) -> str:
        urls = self._urls(service)
        return urls[next(self._turn) % len(urls)]

    async def _each_second(self, turn: Callable[[], Any]) -> None:
        while not self._enough.is_set():
            with suppress(*AWAY):
                await turn()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), 1)

    async def _cases(self, such: str, count: int) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._database(), timeout=5)
        try:
            return await newest_cases(connection, such, count)
        finally:
            await connection.close(timeout=5)

    async def _lead_steps(self) -> None:
        rows = await self._cases(TO_STEP, STEPS_A_SECOND)
        async with asyncio.timeout(10):
            await asyncio.gather(*(self._step(n, row) for n, row in enumerate(rows)))

    async def _step(self, number: int, row: asyncpg.Record) -> None:
        self.steps += 1
        with suppress(*AWAY):
            await next_step(self._city, self._next("dispatch"), number, row)

    async def _rate(self) -> None:
        closed = await self._cases(TO_RATE, RATINGS_A_SECOND)
        self.ratings += await rate_some(self._city, closed)
