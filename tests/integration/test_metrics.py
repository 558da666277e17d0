"""MetricsAlone on a real broker and database: its figures against a count by plain Python."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from statistics import mean, median
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from lastmetre.common.contracts.base import Channel, Origin
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import MetricsAlone
from tests.support.city.scenarios import Scenario, World, network
from tests.support.databases import fresh_database

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SHANGHAI = ZoneInfo("Asia/Shanghai")
REJECTED = 7


@pytest.fixture(scope="module")
def database(stack: Stack) -> str:
    return fresh_database(stack, "metrics")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city(
    stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[MetricsAlone, World]]:
    """A city of 300 cases, everything sent twice, all of it counted; only looked at until the
    last test."""
    world = World(seed=3, size=300)
    alone = MetricsAlone(
        stack.endpoints.bootstrap_servers, database, tmp_path_factory.mktemp("metrics")
    )
    async with alone.running() as metrics:
        await metrics.start()
        ledger = world.ledger()
        reports, deliveries = world.reports(REJECTED), world.deliveries()
        for _ in range(2):
            for messages in (network(), reports, deliveries, ledger):
                await metrics.tell(*messages)
        await metrics.until("SELECT sum(seq) FROM fact", len(ledger))
        await metrics.until("SELECT count(*) FROM report", len(reports))
        await metrics.until("SELECT count(*) FROM message", len(deliveries))
        await metrics.until("SELECT count(*) FROM area", 4)
        yield metrics, world


async def indicators(metrics: MetricsAlone, **parameters: str) -> list[dict[str, Any]]:
    async with metrics.client(Role.SUPERVISOR) as client:
        answer = await client.get("/indicators", params=parameters)
    assert answer.status_code == 200, answer.text
    groups: list[dict[str, Any]] = answer.json()["groups"]
    return groups


def quantile(values: list[float], share: float) -> float:
    """By the definition of percentile_cont."""
    place = share * (len(values) - 1)
    low, rest = int(place), place - int(place)
    ordered = sorted(values)
    return ordered[low] + rest * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def close_to(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def whole(group: dict[str, Any]) -> tuple[Any, ...]:
    times = group["response_times"]["whole"]
    return tuple(times[name] for name in ("n", "median", "p90", "p99", "mean"))


def expected_whole(scenarios: list[Scenario]) -> tuple[Any, ...]:
    values = [each.response for each in scenarios if each.response is not None]
    if not values:
        return 0, None, None, None, None
    return (len(values), close_to(median(values)), close_to(quantile(values, 0.9)),
            close_to(quantile(values, 0.99)), close_to(mean(values)))  # fmt: skip


async def test_counts(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    [found] = await indicators(metrics)
    every = world.scenarios
    closed = [each for each in every if each.closed is not None]
    cancelled = Counter(each.cancelled for each in every if each.cancelled)
    cases = found["cases"]
    assert found["reports"]["accepted"] == cases["registered"] == len(every)
    assert found["reports"]["rejected"] == REJECTED
    assert found["reports"]["rejected_by_reason"] == {
        "says_nothing": REJECTED, "position_is_null_island": REJECTED,
    }  # fmt: skip
    assert found["reports"]["valid_report_rate"] == close_to(len(every) / (len(every) + REJECTED))
    assert cases["closed"] == len(closed)
    assert cases["cancelled_by_reason"] == cancelled
    assert cases["open"] == len(every) - len(closed) - cancelled.total()
    assert cases["matched_to_leads"] == sum(each.area is not None for each in every)
    assert cases["unplaced"] + cases["ended_unplaced"] + cases["matched_to_leads"] == len(every)
    assert cases["returned"] == sum(each.returned for each in every)
    assert cases["reopened"] == sum(each.reopened for each in every)
    assert cases["fixed_on_spot"] == sum(each.on_spot for each in every)
    assert cases["closed_before_reported"] == sum(each.closed < 0 for each in closed if each.closed)


async def test_response_times_in_every_grouping(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    keys: dict[str, Callable[[Scenario], Any]] = {
        "channel": lambda each: each.channel.value,
        "area": lambda each: each.area,
        "lead": lambda each: each.area and f"L{each.area}",
        "category": lambda each: each.category,
        "day": lambda each: each.reported_at.astimezone(SHANGHAI).date().isoformat(),
    }
    for name, key in keys.items():
        found = {g["key"][name]: whole(g) for g in await indicators(metrics, by=name)}
        expected = {
            value: expected_whole([each for each in world.scenarios if key(each) == value])
            for value in {key(each) for each in world.scenarios}
        }
        assert found == expected, name
    pairs = await indicators(metrics, by="channel,day")
    assert sum(group["cases"]["registered"] for group in pairs) == len(world.scenarios)
    assert {tuple(group["key"].values()) for group in pairs} == {
        (keys["channel"](each), keys["day"](each)) for each in world.scenarios
    }


async def test_every_case_of_a_stage_is_accounted_for(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    for spot in ("without", "with", "only"):
        [found] = await indicators(metrics, fixed_on_spot=spot)
        for name, times in found["response_times"].items():
            assert times["n"] + sum(times["excluded"].values()) == len(world.scenarios), name
            assert (times["median"] is None) == (times["n"] == 0)
    [apart] = await indicators(metrics, fixed_on_spot="only")
    assert whole(apart)[:2] == (sum(each.on_spot for each in world.scenarios), 0)
    [everything] = await indicators(metrics, fixed_on_spot="with")
    assert whole(everything)[0] == sum(
        each.closed is not None and each.closed >= 0 for each in world.scenarios
    )


async def test_selection_by_day_and_origin(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    parameters = {"from": "2026-11-21", "to": "2026-11-22", "origin": "import"}
    [found] = await indicators(metrics, **parameters)
    selected = [
        each
        for each in world.scenarios
        if each.origin is Origin.IMPORT
        and each.reported_at.astimezone(SHANGHAI).date().isoformat()[:10]
        in ("2026-11-21", "2026-11-22")
    ]
    assert found["cases"]["registered"] == len(selected)
    assert whole(found) == expected_whole(selected)
    [nothing] = await indicators(metrics, to="1999-12-31")
    assert whole(nothing) == (0, None, None, None, None)
    assert nothing["satisfaction"]["solved_rate"] is None
    assert nothing["reports"]["valid_report_rate"] is None


async def test_satisfaction(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    [found] = await indicators(metrics)
    scores = [each.score for each in world.scenarios if each.score]
    said = found["satisfaction"]
    assert said["answers"] == len(scores)
    assert said["mean_score"]["value"] == close_to(mean(scores))
    assert said["solved_rate"]["value"] == close_to(mean(score > 2 for score in scores))
    for estimate in (said["mean_score"], said["solved_rate"], said["satisfied_rate"]):
        assert estimate["low"] < estimate["value"] < estimate["high"]


async def test_prometheus_says_the_same(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    [found] = await indicators(metrics)
    async with metrics.client(Role.ADMINISTRATOR) as client:
        asked = await client.get("/indicators", params={"format": "prometheus"})
        scraped = await client.get(
            "/indicators",
            headers={"Accept": "application/openmetrics-text;q=0.8,text/plain;version=0.0.4;q=0.5"},
        )
    assert asked.headers["content-type"] == scraped.headers["content-type"]
    assert sorted(asked.text.splitlines()) == sorted(scraped.text.splitlines())
    values = {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(asked.text)
        for sample in family.samples
    }
    states: Counter[str] = Counter()
    for (name, *labels), value in values.items():
        if name == "lastmetre_cases":
            states[labels[1]] += int(value)
    assert states == found["cases"]["by_state"]
    stage = found["response_times"]["whole"]
    assert values["lastmetre_case_response_seconds", "0.99", "whole"] == close_to(stage["p99"])
    assert values["lastmetre_case_response_cases", "whole"] == stage["n"]
    sent = sum(n % 10 > 0 for n, each in enumerate(world.scenarios) if each.area)
    assert values["lastmetre_message_results", "folder", "lead", "sent"] == sent
    app = sum(each.channel is Channel.APP for each in world.scenarios)
    assert values["lastmetre_reports", "app", "accepted"] == app


async def test_facts_of_single_cases(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    facts: dict[str, dict[str, Any]] = {}
    async with metrics.client(Role.OPERATOR) as client:
        following: str | None = None
        while True:
            parameters = {"limit": "70"} | ({"after": following} if following else {})
            page = (await client.get("/api/metrics/v1/facts", params=parameters)).json()
            facts |= {fact["case_id"]: fact for fact in page["facts"]}
            following = page["next"]
            if following is None:
                break
        assert len(facts) == len(world.scenarios)
        for each in world.scenarios:
            fact = facts[str(each.case_id)]
            assert fact["seq"] == len(each.events)
            whole_way = each.closed * 60 if each.closed is not None and each.closed >= 0 else None
            assert fact["response_seconds"] == whole_way
        one = await client.get(f"/api/metrics/v1/cases/{world.scenarios[0].case_id}")
        assert one.json() == facts[str(world.scenarios[0].case_id)]
        unknown = await client.get(f"/api/metrics/v1/cases/{world.scenarios[0].report_id}")
        assert unknown.status_code == 404


async def test_who_may_look(city: tuple[MetricsAlone, World]) -> None:
    metrics, _ = city
    async with metrics.client(Role.LEAD) as client:
        for path in (
            "/indicators",
            "/board",
            "/board/live",
            "/board/events",
            "/api/metrics/v1/facts",
        ):
            assert (await client.get(path)).status_code == 403
            anonymous = await client.get(path, headers={"Authorization": ""})
            assert anonymous.status_code == 401
        assert (await client.get("/board/how", headers={"Authorization": ""})).status_code == 200


async def test_board(city: tuple[MetricsAlone, World]) -> None:
    metrics, world = city
    async with metrics.client(Role.SUPERVISOR) as client:
        page = await client.get("/board", params={"period": "all", "lang": "zh"})
        live = await client.get("/board/live", params={"period": "all", "lang": "en"})
        empty = await client.get("/board", params={"day": "2001-01-01", "lang": "en"})
    assert page.status_code == live.status_code == empty.status_code == 200
    assert 'lang="zh-CN"' in page.text
    assert 'hx-get="/board/live?period=all"' in page.text
    assert 'data-stream="/board/events?period=all"' in page.text
    assert f"{len(world.scenarios)} cases" in re.sub(r"\s+", " ", live.text)
    assert "<html" not in live.text
    assert all(f"Area {n}" in live.text for n in range(1, 5))
    assert "Nothing was reported in this period" in empty.text
    for answer in (page, live, empty):
        assert "style=" not in answer.text


async def test_areas_follow_the_network(city: tuple[MetricsAlone, World]) -> None:
    metrics, _ = city
    await metrics.tell(network(version=1)[0])
    connection = await asyncpg.connect(metrics.database_url)
    await connection.execute("UPDATE area SET network_version = 5, name_en = 'Newer'")
    await metrics.tell(*network(version=4)[:1])
    await metrics.tell(*network(version=6)[1:])
    await metrics.until("SELECT min(network_version) FROM area WHERE area_id <> 'A01'", 6)
    await metrics.remove_area("A04", 7)
    await metrics.until("SELECT count(*) FROM area", 3)
    # Late repetitions neither bring it back nor take away another.
    await metrics.tell(*network(version=6)[3:])
    await metrics.remove_area("A03", 6)
    await metrics.until("SELECT count(*) FROM area_removal", 2)
    await metrics.until("SELECT count(*) FROM area", 3)
    await metrics.tell(*network(version=8)[3:])
    await metrics.until("SELECT count(*) FROM area", 4)
    assert await connection.fetchval("SELECT name_en FROM area WHERE area_id = 'A01'") == "Newer"
    await connection.close()
