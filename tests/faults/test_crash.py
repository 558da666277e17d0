"""kill -9 of everything, again and again, while ten thousand real reports come in: none lost, none
doubled, and nobody helps."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from cli.audit.receipts import read_receipts
from cli.console import Trouble
from cli.stack import Stack
from common.contracts.topics import SERVICES
from tests.support import books
from tests.support.city import City
from tests.support.own_city import own_city
from tests.support.traffic import AWAY, Traffic

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.real]

SHARED: Final = Path("../shared/data/la311")
ROWS: Final = 10_000
A_SECOND: Final = 110
EACH_SERVICE: Final = 5
EACH_BACKEND: Final = 2
FAULTS_AN_AUDIT: Final = 6
SEED_VARIABLE: Final = "LASTMETRE_CRASH_SEED"
AGAIN_SECONDS: Final = 0.2


@pytest.fixture
def own(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Services, topics and databases of their own, on the shared broker and database server."""
    with own_city(stack, tmp_path / "home") as running:
        yield running


async def import_network(own: Stack) -> None:
    code, _, complained = await books.command(
        own.home.root, "network", "import", "--areas", str(SHARED / "council_districts.geojson"),
        "--id-property", "district", "--leads", "deploy/mappings/la311-leads.csv",
    )  # fmt: skip
    assert code == 0, complained


class Crashes:
    """Kills by a plan, at points of an import's progress, which its receipts show."""

    def __init__(self, own: Stack, shared: Stack, receipts: Path, seed: int) -> None:
        chance = random.Random(seed)
        victims = [*SERVICES] * EACH_SERVICE + ["kafka", "postgres"] * EACH_BACKEND
        chance.shuffle(victims)
        points = sorted(chance.sample(range(ROWS // 50, ROWS * 19 // 20), len(victims)))
        self.plan = list(zip(points, victims, strict=True))
        self._own = own
        self._shared = shared
        self._receipts = receipts
        self.audits: list[asyncio.Task[None]] = []

    def stack_of(self, victim: str) -> Stack:
        """The stack that runs it."""
        return self._own if victim in SERVICES else self._shared

    def progress(self) -> int:
        """How many receipts have been given."""
        return self._receipts.read_bytes().count(b"\n") if self._receipts.exists() else 0

    async def run(self, importing: "asyncio.Task[tuple[int, str, str]]") -> None:
        """Kill everybody in turn; nobody is helped."""
        for number, (point, victim) in enumerate(self.plan, start=1):
            while self.progress() < point:
                assert not importing.done(), importing.result()
                await asyncio.sleep(AGAIN_SECONDS / 4)
            running = self.stack_of(victim)
            await asyncio.to_thread(running.wait_ready, victim)
            await asyncio.to_thread(running.kill, victim)
            print(f"{self.progress():6} of {ROWS}: kill -9 {victim}")
            if victim in SERVICES:
                await positions_are_not_ahead(self._own)
            if number % FAULTS_AN_AUDIT == 0:
                self.audits.append(asyncio.create_task(nothing_is_ahead(self._own)))


async def again(attempt: Callable[[], Awaitable[None]]) -> None:
    """Do it once, however often something is away meanwhile."""
    while True:
        try:
            return await attempt()
        except (*AWAY, asyncpg.PostgresError, Trouble):
            await asyncio.sleep(AGAIN_SECONDS)


async def positions_are_not_ahead(own: Stack) -> None:
    """Of one instant: intake has an outcome of each record below its positions, and no more."""

    async def look() -> None:
        connection = await asyncpg.connect(own.endpoints.databases["intake"])
        try:
            row = await connection.fetchrow(
                "SELECT (SELECT sum(next_offset) FROM position WHERE flow = 'channels'),"
                " (SELECT count(*) FROM report) + (SELECT count(*) FROM later_record)"
                " + (SELECT count(*) FROM dead_letter WHERE flow = 'channels')"
            )
        finally:
            await connection.close()
        assert row
        assert row[0] == row[1]

    await again(look)


async def nothing_is_ahead(own: Stack) -> None:
    """Hold every service's stored positions against its stored effects, while all this goes on."""

    async def look() -> None:
        balance = await books.balance(own.endpoints, own.home.outbox)
        assert [line.document() for line in balance if not line.balanced] == []

    await again(look)


@pytest.mark.timeout(600)
async def test_ten_thousand_reports_survive_every_crash(
    own: Stack, stack: Stack, tmp_path: Path
) -> None:
    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(10**6))
    print(f"{SEED_VARIABLE}={seed}")
    await import_network(own)
    receipts = tmp_path / "receipts"
    importing = asyncio.create_task(
        books.command(
            own.home.root, "import", str(SHARED / "requests_2018-01.csv"),
            "--mapping", "deploy/mappings/la311.yaml", "--live", "--rate", str(A_SECOND),
            "--receipts", str(receipts), "--json",
        )
    )  # fmt: skip
    crashes = Crashes(own, stack, receipts, seed)
    async with City(own.endpoints.model_dump(mode="json", by_alias=True)) as city:
        traffic = Traffic(city, lambda service: own.endpoints.instances[service])
        handling = asyncio.create_task(traffic.handle(pause=0.5))
        try:
            await crashes.run(importing)
            code, said, complained = await importing
            await asyncio.gather(*crashes.audits)
        finally:
            traffic.enough.set()
            await asyncio.gather(handling, return_exceptions=True)
            importing.cancel()
        assert code == 0, complained
        print(f"{traffic.asked} steps asked for, {traffic.rated} ratings")
        print(said)
        await everything_is_there_once(own, city, receipts)


async def everything_is_there_once(own: Stack, city: City, receipts: Path) -> None:
    """Nothing is in flight, the books balance, and what they count is what was sent."""
    left = await books.quiet(own.endpoints, 120)
    assert not left, left
    balance = await books.balance(own.endpoints, own.home.outbox, read_receipts(receipts))
    assert [line.document() for line in balance if not line.balanced] == []
    lines = {line.name: line for line in balance}
    assert lines["receipts"].actual == {"reports in intake": ROWS}
    assert lines["registered"].actual == {"registered": ROWS}
    # The books say that they agree; that they agree on the right things is counted here.
    dispatch, metrics = await city.database("dispatch"), await city.database("metrics")
    row = await dispatch.fetchrow(
        'SELECT count(*), count(DISTINCT report_id), count(DISTINCT number) FROM "case"'
    )
    assert row
    assert tuple(row) == (ROWS, ROWS, ROWS)
    dispatched = await dispatch.fetchval(
        "SELECT count(*) FROM ledger WHERE type = 'lastmetre.case.dispatched.v1'"
    )
    assert await dispatch.fetchval(
        "SELECT max(times) FROM (SELECT count(*) AS times FROM ledger WHERE type IN"
        " ('lastmetre.case.registered.v1', 'lastmetre.case.dispatched.v1',"
        " 'lastmetre.case.accepted.v1', 'lastmetre.case.closed.v1', 'lastmetre.case.rated.v1')"
        " GROUP BY case_id, type) AS counted"
    ) == 1  # fmt: skip
    assert await metrics.fetchval("SELECT count(DISTINCT report_id) FROM fact") == ROWS
    files = [path.name for path in own.home.outbox.rglob("*.txt")]
    print(f"{dispatched} cases placed, {len(files)} message files")
    assert len(files) == len(set(files)) == dispatched
