"""What people leave undone, and what somebody tries that is not open to him: tickets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.drills.drill import hurried, watched
from tests.support.city import City, inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNPLACED: Final = 21
NOT_ACCEPTED: Final = 101
"""One more than the rules bear."""
NOBODYS: Final = inside(3)
"""In an area without a lead."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With no case but those of these tests."""
    with Stack(tmp_path_factory.mktemp("drill") / "home") as running:
        yield running


async def reported(city: City, count: int, position: dict[str, float], state: str) -> UUID:
    """Report that often, until so many cases are in that state; returns one of them."""
    reports = [
        {"source_id": f"queue-{uuid4()}", "text": "路灯不亮", "position": position}
        for _ in range(count)
    ]
    (await city.post("app", reports)).raise_for_status()
    dispatch = await city.database("dispatch")

    async def all_there() -> UUID | None:
        rows = await dispatch.fetch('SELECT case_id FROM "case" WHERE state = $1', state)
        return rows[0]["case_id"] if len(rows) == count else None

    return await city.until(all_there, f"{count} cases that are {state}")


async def test_cases_that_nobody_is_given(city: City, tmp_path: Path) -> None:
    """The command centre places one of them."""
    await city.import_network()
    rules = hurried(tmp_path, "CasesUnplaced", **{"for": ("1h", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("CasesUnplaced")
        case_id = await reported(city, UNPLACED, NOBODYS, "unplaced")
        drill.begins()
        await drill.fires("CasesUnplaced", "ticket", set())
        placed = await city.act(case_id, "place", role=Role.OPERATOR, area_id="A0", expected_seq=2)
        assert placed.status_code == 200, placed.text
        drill.begins()
        await drill.resolves("CasesUnplaced", "ticket")
        answer = await city.act(case_id, "accept")
        assert answer.status_code == 200, answer.text


async def test_cases_that_nobody_accepts(city: City, tmp_path: Path) -> None:
    """Their lead accepts one of them."""
    await city.import_network()
    rules = hurried(tmp_path, "CasesNotAccepted", **{"for": ("2h", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("CasesNotAccepted")
        case_id = await reported(city, NOT_ACCEPTED, inside(0), "dispatched")
        drill.begins()
        await drill.fires("CasesNotAccepted", "ticket", set())
        answer = await city.act(case_id, "accept")
        assert answer.status_code == 200, answer.text
        drill.begins()
        await drill.resolves("CasesNotAccepted", "ticket")


async def test_somebody_who_guesses(city: City, tmp_path: Path) -> None:
    """He asks without a right to, until it is noticed."""
    rules = hurried(tmp_path, "ManyRefused", **{"expr": ("[5m]", "[30s]"), "for": ("10m", "10s")})
    url = city.url("intake", "/channels/app/reports")
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("ManyRefused")

        async def guesses() -> None:
            answer = await city.http.post(url, json={}, headers={"Authorization": "Bearer guess"})
            assert answer.status_code == 401

        await drill.fires("ManyRefused", "ticket", set(), meanwhile=guesses)
        drill.begins()
        await drill.resolves("ManyRefused", "ticket")
