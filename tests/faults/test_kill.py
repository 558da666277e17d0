"""kill -9 of every service, the database and the broker while reports come in: none lost, none
doubled, and nobody helps."""

import asyncio
import random
import uuid
from typing import Any

import pytest

from cli.stack import Stack
from tests.support import books
from tests.support.city import City, inside

pytestmark = pytest.mark.fault

REPORTS = 600
ARRAY = 20


async def send_all(city: City, name: str, progress: asyncio.Queue[int]) -> None:
    for first in range(0, REPORTS, ARRAY):
        items: list[dict[str, Any]] = [
            {"source_id": f"{name}-{n}", "text": "井盖松动", "position": inside(n % 3)}
            for n in range(first, first + ARRAY)
        ]
        await city.until(lambda: taken(city, items), "answer of the edge", 90)  # noqa: B023
        progress.put_nowait(first + ARRAY)


async def taken(city: City, items: list[dict[str, Any]]) -> bool:
    """As a partner does: whatever is not a 202 is sent again."""
    try:
        answer = await city.post("app", items)
    except OSError:
        return False
    except Exception as error:  # httpx's transport errors have no base of their own in OSError
        if type(error).__module__.startswith("httpx"):
            return False
        raise
    return answer.status_code == 202


async def test_every_part_is_killed_and_nothing_is_lost(stack: Stack, city: City) -> None:
    await city.import_network()
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    victims = ["intake", "dispatch", "notify", "metrics", "postgres", "intake", "dispatch",
               "kafka", "notify", "metrics"]  # fmt: skip
    random.Random(seed).shuffle(victims)
    name = f"kill-{uuid.uuid4()}"
    progress: asyncio.Queue[int] = asyncio.Queue()
    sending = asyncio.create_task(send_all(city, name, progress))
    for victim in victims:
        for _ in range(2):
            await progress.get()
        await asyncio.to_thread(stack.wait_ready, victim)
        await asyncio.to_thread(stack.kill, victim)
    await sending
    for program in ("kafka", "postgres", "intake", "dispatch", "notify", "metrics"):
        await asyncio.to_thread(stack.wait_ready, program)

    intake, dispatch, metrics = [await city.database(s) for s in ("intake", "dispatch", "metrics")]

    async def all_counted() -> bool:
        reports = await intake.fetch(
            "SELECT report_id FROM report WHERE source_id LIKE $1 || '-%'", name
        )
        if len(reports) != REPORTS:
            return False
        ids = [row[0] for row in reports]
        facts = await metrics.fetchval(
            "SELECT count(*) FROM fact WHERE report_id = ANY($1) AND seq = 2", ids
        )
        return bool(facts == REPORTS)

    await city.until(all_counted, "fact for every report", 90)
    ids = [
        row[0]
        for row in await intake.fetch(
            "SELECT report_id FROM report WHERE source_id LIKE $1 || '-%'", name
        )
    ]
    cases = await dispatch.fetch('SELECT case_id, seq FROM "case" WHERE report_id = ANY($1)', ids)
    assert len(cases) == REPORTS
    assert {row["seq"] for row in cases} == {2}
    entries = await dispatch.fetchval(
        "SELECT count(*) FROM ledger WHERE case_id = ANY($1)", [row["case_id"] for row in cases]
    )
    assert entries == 2 * REPORTS
    views = await intake.fetchval(
        "SELECT count(*) FROM timeline WHERE case_id = ANY($1)", [row["case_id"] for row in cases]
    )
    assert views == 2 * REPORTS
    code, document = await books.audit(stack.home.root)
    assert code == 0, document
