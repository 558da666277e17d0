"""kill -9 of everything, again and again, while ten thousand real reports come in: none lost, none
doubled, and nobody helps."""

import asyncio
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from tests.acceptance import la311
from tests.support.city import City
from tests.support.commands import attempt, lastmetre
from tests.support.traffic import Traffic

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(600),
    pytest.mark.trial, pytest.mark.choice, pytest.mark.kind(name="kills"),
]  # fmt: skip

ROWS: Final = 10_000
ROWS_A_SECOND: Final = 200
"""So that who was killed is back before his next turn."""
BACKENDS: Final = ("kafka", "postgres")
ROUNDS: Final = ((), BACKENDS, (), BACKENDS, ())
"""Each service is killed once a round, and these with them."""
AUDITED_AFTER: Final = (10, 20)
"""So many kills: with the rounds that take broker and database too."""
POINTS: Final = range(200, 8_000)
"""Of the rows; the rest are for the last to come back while there still is something to do."""
SEED: Final = "LASTMETRE_CRASH_SEED"
LOOK_SECONDS: Final = 0.05


def plan(seed: int) -> list[tuple[int, str]]:
    """After how many rows who is killed."""
    chance = random.Random(seed)
    victims = [
        victim
        for also in ROUNDS
        for victim in chance.sample([*SERVICES, *also], len(SERVICES) + len(also))
    ]
    return list(zip(sorted(chance.sample(POINTS, len(victims))), victims, strict=True))


async def books_balance_meanwhile(stack: Stack) -> None:
    """Hold every position against the effects stored with it, whatever is away or under way."""
    while True:
        code, said, _ = await attempt(stack, "audit", "--live", "--json")
        if said:
            assert code == 0, said
            return


async def kill_by_plan(stack: Stack, seed: int, importing: "asyncio.Task[Any]", file: Path) -> None:
    """Kill each in his turn, at points of the import's progress, which its receipts show."""
    audits: list[asyncio.Task[None]] = []
    for number, (point, victim) in enumerate(plan(seed), start=1):
        while rows(file) < point:
            assert not importing.done(), importing.result()
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(stack.wait_ready, victim)
        await asyncio.to_thread(stack.kill, victim)
        print(f"{rows(file):6} of {ROWS} rows: kill -9 {victim}")
        if number in AUDITED_AFTER:
            audits.append(asyncio.create_task(books_balance_meanwhile(stack)))
    assert not importing.done()
    await asyncio.gather(*audits)


def rows(file: Path) -> int:
    """How many receipts there are."""
    return file.read_bytes().count(b"\n") if file.exists() else 0


async def registered(city: City) -> Counter[str]:
    """The figures by channel."""
    document = await city.indicators(by="channel")
    groups = document["groups"]
    return Counter({each["key"]["channel"]: each["cases"]["registered"] for each in groups})


async def test_ten_thousand_reports_survive_every_crash(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(10**6))
    print(f"{SEED}={seed}")
    # What earlier tests left under way has come into the figures once the books are quiet.
    await lastmetre(stack, "audit")
    before = await registered(city)
    await lastmetre(
        stack, "network", "import", "--areas", la311.DISTRICTS, "--id-property", "name",
        "--leads", la311.LEADS,
    )  # fmt: skip
    receipts = tmp_path / "receipts"
    importing = asyncio.create_task(
        lastmetre(
            stack, "import", la311.REQUESTS, "--mapping", la311.MAPPING, "--live",
            "--rate", str(ROWS_A_SECOND), "--receipts", receipts,
        )
    )  # fmt: skip
    traffic = Traffic(stack, city)
    handling = asyncio.create_task(traffic.handle())
    try:
        await kill_by_plan(stack, seed, importing, receipts)
        imported = await importing
    finally:
        importing.cancel()
        traffic.enough.set()
        await handling
    print(f"{imported['seconds']} s, {traffic.asked} steps asked for, {traffic.rated} ratings")
    assert (imported["rows"], imported["refused"]) == (ROWS, 0)
    assert imported["accepted"] + imported["already_there"] == ROWS
    await lastmetre(stack, "audit", "--receipts", receipts)
    # The books say that they agree; that they agree on the right things is counted here.
    file = la311.requests()
    assert set(read_ids(receipts)) == set(file)
    assert await registered(city) - before == Counter(each.channel for each in file.values())
    await everything_is_there_once(stack, city, file)


def read_ids(receipts: Path) -> list[str]:
    """The file's own ids of those that a receipt was given for."""
    return [json.loads(line)["source_id"] for line in receipts.read_text("utf-8").splitlines()]


async def everything_is_there_once(
    stack: Stack, city: City, file: dict[str, la311.Request]
) -> None:
    """One case, one assignment and one message about it for each row, and one row of facts."""
    placed = sum(each.district is not None for each in file.values())
    intake, dispatch, metrics = [await city.database(s) for s in ("intake", "dispatch", "metrics")]
    reports = await intake.fetchval(
        "SELECT array_agg(report_id) FROM report WHERE source_id = ANY($1)", list(file)
    )
    assert len(reports) == len(set(reports)) == ROWS
    cases = await dispatch.fetch(
        'SELECT case_id, number FROM "case" WHERE report_id = ANY($1)', reports
    )
    ids, numbers = [row["case_id"] for row in cases], {row["number"] for row in cases}
    assert len(ids) == len(numbers) == ROWS
    events = {
        row["name"]: row
        for row in await dispatch.fetch(
            "SELECT split_part(type, '.', 3) AS name, count(*), count(DISTINCT case_id) AS cases"
            " FROM ledger WHERE case_id = ANY($1) GROUP BY type", ids
        )
    }  # fmt: skip
    print({name: row["count"] for name, row in events.items()})
    assert all(row["count"] == row["cases"] for row in events.values())
    assert [events[name]["count"] for name in ("registered", "dispatched", "unplaced")] == [
        ROWS, placed, ROWS - placed,
    ]  # fmt: skip
    views = await intake.fetchval(
        "SELECT sum(json_array_length(events)) FROM timeline WHERE case_id = ANY($1)", ids
    )
    assert views == sum(row["count"] for row in events.values())
    facts = await metrics.fetch("SELECT case_id FROM fact WHERE report_id = ANY($1)", reports)
    assert sorted(row["case_id"] for row in facts) == sorted(ids)
    # A file's name is its case's number, the event and to whom; at the end the message's id.
    files = Counter(path.stem[:-37] for path in stack.home.outbox.rglob("*.txt"))
    assert [name for name, times in files.items() if times > 1] == []
    assert len(files.keys() & {f"{number}-02-lead-assigned" for number in numbers}) == placed
