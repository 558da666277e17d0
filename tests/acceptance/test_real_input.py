"""Ten thousand real requests, imported, placed, replayed and measured, and all of it again."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.acceptance import la311
from tests.acceptance.la311 import Request
from tests.support.city import City
from tests.support.commands import lastmetre

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 10_000
SENDERS = {"hotline": "hotline-12345", "app": "city-app", "patrol": "patrol"}
Facts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def los_angeles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, for the figures are exact, whose days are those of Los Angeles."""
    home = tmp_path_factory.mktemp("los-angeles") / "home"
    with Stack(home, environment={"LASTMETRE_CITY_TIME_ZONE": "America/Los_Angeles"}) as stack:
        yield stack


@pytest.fixture
async def city(los_angeles: Stack) -> AsyncIterator[City]:
    """Somebody who talks to it."""
    async with City(los_angeles.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        yield opened


@pytest.fixture(scope="module")
def file() -> dict[str, Request]:
    """What the file says, counted without any code of ours."""
    return la311.requests()


async def indicators(city: City, **asked: str) -> dict[str, Any]:
    document = await city.indicators(**asked)
    return {name: value for name, value in document.items() if name != "as_of"}


async def cases_by(city: City, dimension: str) -> dict[str | None, int]:
    document = await indicators(city, by=dimension)
    return {group["key"][dimension]: group["cases"]["registered"] for group in document["groups"]}


async def facts_of(city: City, file: dict[str, Request]) -> Facts:
    """The facts of every case by its id in the file, joined by what intake says became of it."""
    by_case: dict[str, dict[str, Any]] = {}
    following: str | None = ""
    while following is not None:
        answer = await city.http.get(
            city.url("metrics", "/api/metrics/v1/facts"),
            params={"limit": 5000, **({"after": following} if following else {})},
            headers=city.bearer(Role.SUPERVISOR),
        )
        page = answer.json()
        by_case |= {fact["case_id"]: fact for fact in page["facts"]}
        following = page["next"]
    assert len(by_case) == ROWS
    found: Facts = {}
    for channel, sender in SENDERS.items():
        ids = [each.source_id for each in file.values() if each.channel == channel]
        for start in range(0, len(ids), 1000):
            answer = await city.http.post(
                city.url("intake", "/api/intake/v1/lookup"),
                json={"sender": sender, "channel": channel, "source_ids": ids[start:][:1000]},
                headers=city.bearer(Role.ADMINISTRATOR),
            )
            found |= {
                each["source_id"]: by_case.pop(each["case_id"]) | {"receipt": each["receipt"]}
                for each in answer.json()["reports"]
            }
    assert not by_case  # every case belongs to one row, and every row has one
    return found


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def test_ten_thousand_real_requests(
    los_angeles: Stack, city: City, file: dict[str, Request], tmp_path: Path
) -> None:
    what_the_issue_says_of_the_file(file)
    network = await lastmetre(
        los_angeles, "network", "import", "--areas", la311.DISTRICTS, "--id-property", "name",
        "--leads", la311.LEADS,
    )  # fmt: skip
    assert (network["areas"], network["leads"]) == (15, 15)

    arguments = la311.REQUESTS, "--mapping", la311.MAPPING
    receipts = tmp_path / "receipts"
    imported = await lastmetre(los_angeles, "import", *arguments, "--receipts", receipts)
    assert counts(imported) == {"accepted": ROWS, "already_there": 0, "refused": 0}
    books = await lastmetre(los_angeles, "audit", "--receipts", receipts)
    assert books["balanced"]
    facts = await facts_of(city, file)
    assert len({fact["number"] for fact in facts.values()}) == ROWS
    await reports_are_counted_as_in_the_file(city, file)
    await cases_are_with_the_lead_of_their_district(city, file, facts)

    replayed = await lastmetre(los_angeles, "replay-actions", *arguments)
    assert counts(replayed) == {
        "resolved": 9_711, "cancelled": 289, "already_there": 0, "refused": 0,
    }  # fmt: skip
    await city.until(partial(all_ended, city), "end of every case")
    facts = await facts_of(city, file)
    cases_have_ended_as_in_the_file(file, facts)
    response_times_are_those_of_the_file(file, facts)
    await figures_are_those_of_the_same_sets(city, file)

    before = await indicators(city, by="channel,day"), await indicators(city)
    again = await lastmetre(los_angeles, "import", *arguments)
    assert counts(again) == {"accepted": 0, "already_there": ROWS, "refused": 0}
    again = await lastmetre(los_angeles, "replay-actions", *arguments)
    assert counts(again) == {
        "resolved": 0, "cancelled": 0, "already_there": ROWS, "refused": 0,
    }  # fmt: skip
    assert (await lastmetre(los_angeles, "audit"))["balanced"]
    assert await facts_of(city, file) == facts
    assert (await indicators(city, by="channel,day"), await indicators(city)) == before


async def all_ended(city: City) -> bool:
    metrics = await city.database("metrics")
    ended = "SELECT count(*) FROM fact WHERE coalesce(closed_at, cancelled_at) IS NOT NULL"
    return bool(await metrics.fetchval(ended) == ROWS)


def counts(document: dict[str, Any]) -> dict[str, int]:
    assert document["rows"] == ROWS
    wanted = "accepted", "resolved", "cancelled", "already_there", "refused"
    return {name: document[name] for name in wanted if name in document}


def what_the_issue_says_of_the_file(file: dict[str, Request]) -> None:
    """So that it is known what these tests are about."""
    rows = file.values()
    assert len(file) == ROWS
    assert Counter(each.channel for each in rows) == {
        "hotline": 4_809, "app": 3_792, "patrol": 1_399,
    }  # fmt: skip
    assert len({each.kind for each in rows}) == 12
    assert sum(each.has_position and bool(each.labelled) for each in rows) == 8_898
    assert sum(not each.has_position for each in rows) == 1_102
    assert sum(each.seconds != each.naive_seconds for each in rows) == 126
    assert sum(each.backwards for each in rows) == 13
    assert {each.status for each in rows} == {"Closed", "Cancelled", "Referred Out"}


async def reports_are_counted_as_in_the_file(city: City, file: dict[str, Request]) -> None:
    rows = file.values()
    assert await cases_by(city, "channel") == Counter(each.channel for each in rows)
    assert await cases_by(city, "source_category") == Counter(each.kind for each in rows)
    assert await cases_by(city, "area") == Counter(each.district for each in rows)
    assert await cases_by(city, "day") == Counter(each.day.isoformat() for each in rows)


async def cases_are_with_the_lead_of_their_district(
    city: City, file: dict[str, Request], facts: Facts
) -> None:
    def lead(district: str | None) -> str | None:
        return f"LA{int(district):02}" if district else None

    assert {key: fact["lead_id"] for key, fact in facts.items()} == {
        key: lead(each.district) for key, each in file.items()
    }
    labelled = [each for each in file.values() if each.has_position and each.labelled]
    agree = sum(facts[each.source_id]["lead_id"] == lead(each.labelled) for each in labelled)
    assert agree >= 8_870
    queued = {key: fact["unplaced_reason"] for key, fact in facts.items() if not fact["lead_id"]}
    assert queued == {
        key: "outside_every_area" if each.has_position else "no_position"
        for key, each in file.items()
        if each.district is None
    }
    (whole,) = (await indicators(city))["groups"]
    assert whole["cases"]["unplaced_by_reason"] == {"no_position": 1_102, "outside_every_area": 8}


def cases_have_ended_as_in_the_file(file: dict[str, Request], facts: Facts) -> None:
    for key, each in file.items():
        fact = facts[key]
        ended = instant(fact["closed_at"] or fact["cancelled_at"])
        assert (fact["state"], fact["cancel_reason"], ended) == (
            "closed" if each.closed else "cancelled",
            None if each.closed else each.status,
            each.ended_at,
        ), key
        assert instant(fact["reported_at"]) == each.reported_at, key
        assert fact["number"].startswith(f"{each.day:%y%m%d}-"), key
        assert fact["accepted_at"] is None, key
        assert fact["arrived_at"] is None, key
        assert fact["verified_at"] == fact["resolved_at"] == fact["closed_at"], key
    queue = [key for key, each in file.items() if each.district is None]
    assert {facts[key]["state"] for key in queue} == {"closed", "cancelled"}
    assert all(facts[key]["lead_id"] is None for key in queue)


def response_times_are_those_of_the_file(file: dict[str, Request], facts: Facts) -> None:
    for key, each in file.items():
        fact = facts[key]
        counts = each.closed and not each.backwards
        assert fact["response_seconds"] == (each.seconds if counts else None), key
        assert fact["closed_before_reported"] == each.backwards, key
        assert fact["fixed_on_spot"] == each.on_spot, key


async def figures_are_those_of_the_same_sets(city: City, file: dict[str, Request]) -> None:
    forwards = [each for each in file.values() if each.closed and not each.backwards]
    on_spot = sum(each.on_spot for each in forwards)
    sets = {
        "with": [each.seconds for each in forwards],
        "without": [each.seconds for each in forwards if not each.on_spot],
        "only": [each.seconds for each in forwards if each.on_spot],
    }
    named = {
        "with": "without those closed before they were reported",
        "without": "without those fixed on the spot",
        "only": "only those fixed on the spot",
    }
    for choice, seconds in sets.items():
        document = await indicators(city, fixed_on_spot=choice)
        assert document["sets"]["response_times"]["whole"].endswith(named[choice])
        (group,) = document["groups"]
        whole = group["response_times"]["whole"]
        assert whole["n"] == len(seconds)
        assert whole["median"] == pytest.approx(la311.quantile(seconds, 0.5), abs=1e-6)
        assert whole["p99"] == pytest.approx(la311.quantile(seconds, 0.99), abs=1e-6)
        assert whole["excluded"]["closed_before_reported"] == 13
        for stage in ("first_response", "dispatched_to_accepted", "accepted_to_arrived"):
            assert group["response_times"][stage]["n"] == 0
            assert group["response_times"][stage]["median"] is None
        cases = group["cases"]
        assert (cases["closed"], cases["open"], cases["unplaced"]) == (9_711, 0, 0)
        assert (cases["fixed_on_spot"], cases["closed_before_reported"]) == (on_spot, 13)
        assert cases["cancelled_by_reason"] == {"Cancelled": 280, "Referred Out": 9}
        assert cases["ended_unplaced_by_reason"] == {"no_position": 1_102, "outside_every_area": 8}
