"""An action's id stands for one request: repeated it gets its answer again, and nothing else may
be asked under it. By HTTP, by `field.actions`, and by both at the same time."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.security.callers import Role
from tests.support.city import City
from tests.support.holding import blocked, held_table
from tests.support.tail import Outcomes, outcomes

USED = "action_id_used"


@pytest.fixture
async def answers(city: City) -> AsyncIterator[Outcomes]:
    async with outcomes(city.endpoints) as opened:
        yield opened


def asks(case_id: UUID, action: str, action_id: UUID, lead: str = "L0", **more: Any) -> Any:
    return ActionRequested(
        case_id=case_id,
        action_id=action_id,
        action=Action(action),
        actor=Actor(role=ActorRole.LEAD, id=lead),
        occurred_at=datetime.now(UTC),
        **more,
    )


async def test_by_http(city: City) -> None:
    await city.import_network()
    case_id, other = [await city.new_case(f"once-{uuid.uuid4()}") for _ in range(2)]
    action_id = str(uuid.uuid4())
    first = await city.act(case_id, "accept", action_id=action_id)
    assert (first.status_code, first.json()["seq"]) == (200, 3)
    for case, action, lead in (
        (case_id, "arrive", "L0"),
        (case_id, "accept", "L1"),
        (other, "accept", "L0"),
        (uuid.uuid4(), "accept", "L0"),
    ):
        refused = await city.act(case, action, lead_id=lead, action_id=action_id)
        assert (refused.status_code, refused.json()["refusal"]) == (409, USED), (action, lead)
        assert refused.json()["type"] == "/problems/action-id-used"
    again = await city.act(case_id, "accept", action_id=action_id, expected_seq=2)
    assert (again.status_code, again.json()["seq"]) == (200, 3)
    assert await city.state(case_id) == (3, "accepted")
    assert await city.state(other) == (2, "dispatched")

    place: dict[str, Any] = {"action_id": str(uuid.uuid4()), "expected_seq": 3}
    placed, elsewhere = [
        await city.act(case_id, "place", role=Role.OPERATOR, area_id=area, **place)
        for area in ("A1", "A2")
    ]
    assert placed.status_code == 200
    assert (elsewhere.status_code, elsewhere.json()["refusal"]) == (409, USED)
    assert [line["type"] for line in elsewhere.json()["meanwhile"]] == [
        "lastmetre.case.reassigned.v1"
    ]


async def test_by_kafka(city: City, answers: Outcomes) -> None:
    await city.import_network()
    case_id, other = [await city.new_case(f"once-{uuid.uuid4()}") for _ in range(2)]
    action_id = uuid.uuid4()
    await city.ask(
        asks(case_id, "accept", action_id),
        asks(case_id, "arrive", action_id),
        asks(case_id, "accept", action_id),
    )
    told = [(a.action.value, a.done, a.refusal, a.seq) for a in await answers.to(action_id, 3)]
    assert told == [
        ("accept", True, None, 3),
        ("arrive", False, USED, 3),
        ("accept", True, None, 3),
    ]
    await city.ask(asks(other, "accept", action_id))
    on_other = (await answers.to(action_id, 4))[3]
    assert (on_other.case_id, on_other.refusal, on_other.seq) == (other, USED, 2)
    assert await city.ledger(other) == ["registered", "dispatched"]


async def test_the_same_twice_at_once(city: City) -> None:
    """A terminal that waits no longer sends again while the first request is still being decided:
    both get the same answer."""
    await city.import_network()
    case_id = await city.new_case(f"once-{uuid.uuid4()}")
    action_id = str(uuid.uuid4())
    async with held_table(city, "dispatch", "outbox"):
        both = [
            asyncio.create_task(city.act(case_id, "accept", action_id=action_id)) for _ in range(2)
        ]
        await blocked(city, "dispatch", 2)
    answers = await asyncio.gather(*both)
    assert [(each.status_code, each.json()["seq"]) for each in answers] == [(200, 3)] * 2
    assert await city.ledger(case_id) == ["registered", "dispatched", "accepted"]


@pytest.mark.parametrize("first", ["http", "kafka"])
async def test_two_cases_at_once(city: City, answers: Outcomes, first: str) -> None:
    """Neither transaction sees the other's answer before it writes its own."""
    await city.import_network()
    by_http, by_kafka = [await city.new_case(f"once-{uuid.uuid4()}") for _ in range(2)]
    action_id = uuid.uuid4()

    async def send(way: str) -> "asyncio.Task[httpx.Response] | None":
        if way == "kafka":
            await city.ask(asks(by_kafka, "accept", action_id))
            return None
        return asyncio.create_task(city.act(by_http, "accept", action_id=str(action_id)))

    async with held_table(city, "dispatch", "outbox"):
        # The first has written its answer and waits to commit, the second waits for the first.
        sent = [await send(first)]
        await blocked(city, "dispatch", 1)
        sent.append(await send("kafka" if first == "http" else "http"))
        await blocked(city, "dispatch", 2)
    (asked,) = filter(None, sent)
    answer = await asked
    told = await answers.to(action_id, 2 if first == "http" else 1)
    if first == "http":
        assert answer.status_code == 200
        assert [(each.case_id, each.refusal) for each in told] == [
            (by_http, None),
            (by_kafka, USED),
        ]
    else:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        again = await city.act(by_http, "accept", action_id=str(action_id))
        assert (again.status_code, again.json()["refusal"]) == (409, USED)
        assert [(each.case_id, each.done) for each in told] == [(by_kafka, True)]
    assert await city.state(by_http if first == "http" else by_kafka) == (3, "accepted")
    assert await city.state(by_kafka if first == "http" else by_http) == (2, "dispatched")
