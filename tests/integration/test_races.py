"""Races for a case: both orders forced, by a lock on its row or by the log's order.

| race | held here or in |
|---|---|
| dispatch × cancel, cancel × accept, reassign × the old lead's accept, return × resolve | `RACES` |
| feedback on the first closing × second closing, two feedbacks, feedback × reopen | here, below |
| dead `seq` 3 × events 4 and 5, rebuild's swap × live event | `test_races_of_readers` |
| zombie × new owner | `test_zombie` |
| crash after SMTP's 250 × cancel | `test_notify` |
| one action's id twice at once, on one case and on two | `test_actions_once` |
| merge × close, merge × merge, A→B × B→A, split × the part's first event | `test_merging` |
| extend × overdue, suspend × overdue, late accept × overdue | not yet: no time limits |
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.books import audit, quiet
from tests.support.city import City
from tests.support.holding import blocked, held_case, held_table
from tests.support.tail import Outcomes, outcomes

LEAD, OPERATOR, SUPERVISOR = Role.LEAD, Role.OPERATOR, Role.SUPERVISOR


@dataclass(frozen=True)
class Step:
    """What one of the two asks for."""

    action: str
    role: Role
    more: dict[str, Any] = field(default_factory=dict)
    lead_id: str = "L0"

    def request(self, case_id: UUID, action_id: UUID) -> ActionRequested:
        """As a terminal puts it onto `field.actions`."""
        who = self.lead_id if self.role is LEAD else f"{self.role.value}.1"
        return ActionRequested.model_validate(
            {
                "case_id": case_id,
                "action_id": action_id,
                "action": Action(self.action),
                "actor": Actor(role=ActorRole(self.role.value), id=who),
                "occurred_at": datetime.now(UTC),
                **self.more,
            }
        )


@dataclass(frozen=True)
class Race:
    """Two steps, and what becomes of the second if the first was first, and the other way round."""

    first: Step
    second: Step
    second_late: tuple[str, str]
    """(why the second is refused, the ledger's last event)"""
    first_late: tuple[str, str]
    before: Sequence[Step] = ()
    placed: bool = True


ACCEPT: Final = Step("accept", LEAD)
RESOLVE: Final = Step("resolve", LEAD)
MOVED: Final = "case_has_moved_on"


def seen(seq: int, action: str, role: Role, **more: Any) -> Step:
    """A step of somebody who has seen the case as it was at `seq`."""
    return Step(action, role, {"expected_seq": seq, **more})


RACES: Final = {
    "dispatch × cancel": Race(
        seen(2, "place", OPERATOR, area_id="A1"),
        seen(2, "cancel", OPERATOR, cancel_reason="duplicate"),
        second_late=(MOVED, "dispatched"),
        first_late=(MOVED, "cancelled"),
        placed=False,
    ),
    "cancel × accept": Race(
        seen(2, "cancel", OPERATOR, cancel_reason="duplicate"),
        ACCEPT,
        second_late=("not_allowed_in_state", "cancelled"),
        first_late=(MOVED, "accepted"),
    ),
    "reassign × the old lead's accept": Race(
        seen(2, "place", OPERATOR, area_id="A1"),
        ACCEPT,
        second_late=("not_your_case", "reassigned"),
        first_late=(MOVED, "accepted"),
    ),
    "return × resolve": Race(
        seen(3, "return", LEAD, return_reason="not_my_duty"),
        RESOLVE,
        second_late=("not_your_case", "unplaced"),
        first_late=(MOVED, "closed"),
        before=[ACCEPT],
    ),
}
WAYS: Final = [("http", "http"), ("http", "kafka"), ("kafka", "http"), ("kafka", "kafka")]

Sent = tuple[UUID, "asyncio.Task[httpx.Response] | None"]


@pytest.fixture
async def answers(city: City) -> AsyncIterator[Outcomes]:
    await city.import_network()
    async with outcomes(city.endpoints) as opened:
        yield opened


async def act(city: City, case_id: UUID, step: Step, **more: Any) -> httpx.Response:
    return await city.act(
        case_id, step.action, step.role, lead_id=step.lead_id, **step.more, **more
    )


async def send(city: City, way: str, case_id: UUID, step: Step) -> Sent:
    action_id = uuid.uuid4()
    if way == "kafka":
        await city.ask(step.request(case_id, action_id))
        return action_id, None
    return action_id, asyncio.create_task(act(city, case_id, step, action_id=str(action_id)))


@pytest.mark.parametrize("ways", WAYS, ids=" then ".join)
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
async def test_of_two_steps(
    city: City, answers: Outcomes, race: Race, turned: bool, ways: tuple[str, str]
) -> None:
    position = {} if race.placed else {"position": None}
    case_id = await city.new_case(f"race-{uuid.uuid4()}", **position)
    for step in race.before:
        assert (await act(city, case_id, step)).is_success
    before = await city.ledger(case_id)
    pair = (race.second, race.first) if turned else (race.first, race.second)
    refusal, last = race.first_late if turned else race.second_late
    sent: list[Sent] = []
    async with held_case(city, case_id):
        for number, (way, step) in enumerate(zip(ways, pair, strict=True)):
            sent.append(await send(city, way, case_id, step))
            # From Kafka alone they come one after the other by themselves.
            await blocked(city, "dispatch", 1 if ways == ("kafka", "kafka") else number + 1)
    (won,), (lost,) = [await answers.to(action_id) for action_id, _ in sent]
    assert (won.done, lost.done, lost.refusal) == (True, False, refusal)
    ledger = await city.ledger(case_id)
    assert (ledger[: len(before)], ledger[-1]) == (before, last)
    assert (await city.state(case_id))[0] == won.seq == lost.seq == len(ledger)
    for (_, task), status in zip(
        sent, (200, 409 if refusal != "not_your_case" else 403), strict=True
    ):
        if task is not None:
            answer = await task
            assert answer.status_code == status
            if status != 200 and refusal == MOVED:
                told = [line["type"].split(".")[2] for line in answer.json()["meanwhile"]]
                assert told == ledger[len(before) :], "what happened meanwhile"


# --- feedback ---------------------------------------------------------------------------

CLOSED: Final = ["registered", "dispatched", "resolved", "verified", "closed"]
REOPEN: Final = seen(5, "reopen", OPERATOR)


async def closed_case(city: City) -> UUID:
    await city.import_network()
    case_id = await city.new_case(f"race-{uuid.uuid4()}")
    assert (await act(city, case_id, RESOLVE)).is_success
    assert await city.ledger(case_id) == CLOSED
    return case_id


async def until_ledger(city: City, case_id: UUID, expected: list[str]) -> None:
    async def as_long() -> bool:
        return len(await city.ledger(case_id)) >= len(expected)

    await city.until(as_long, f"ledger of {len(expected)} events")
    assert await city.ledger(case_id) == expected


async def both(city: City, case_id: UUID, step: Step, *, feedback_first: bool) -> httpx.Response:
    """A step by HTTP, and a rating of the closing 5 that asks for the case to be taken up again,
    at the same time; the answer to the step."""

    async def rate() -> None:
        given = await city.rate(case_id, 5, solved=False, score=1, reopen=True)
        assert given.status_code == 202

    async with held_case(city, case_id):
        if feedback_first:
            await rate()
            await blocked(city, "dispatch", 1)
        asked = asyncio.create_task(act(city, case_id, step))
        await blocked(city, "dispatch", 2 if feedback_first else 1)
        if not feedback_first:
            await rate()
            await blocked(city, "dispatch", 2)
    return await asked


@pytest.mark.parametrize("feedback_first", [True, False])
async def test_feedback_on_the_first_closing_and_the_second_closing(
    city: City, feedback_first: bool
) -> None:
    """It judges the closing that it names, and takes up again only the last one."""
    case_id = await closed_case(city)
    assert (await act(city, case_id, REOPEN)).is_success
    answer = await both(city, case_id, RESOLVE, feedback_first=feedback_first)
    assert answer.is_success
    again = [*CLOSED, "reopened", "dispatched"]
    closing = ["resolved", "verified", "closed"]
    expected = [*again, "rated", *closing] if feedback_first else [*again, *closing, "rated"]
    await until_ledger(city, case_id, expected)
    assert (await city.state(case_id))[1] == "closed"
    second = expected.index("closed", len(CLOSED)) + 1
    assert (await city.rate(case_id, second)).is_success, "the second is still to be judged"
    await until_ledger(city, case_id, [*expected, "rated"])


@pytest.mark.parametrize("feedback_first", [True, False])
async def test_feedback_and_reopening(city: City, feedback_first: bool) -> None:
    """Both ask for the case to be taken up again, which happens once."""
    case_id = await closed_case(city)
    answer = await both(city, case_id, REOPEN, feedback_first=feedback_first)
    if feedback_first:
        await until_ledger(city, case_id, [*CLOSED, "rated", "reopened", "dispatched"])
        assert (answer.status_code, answer.json()["refusal"]) == (409, MOVED)
    else:
        await until_ledger(city, case_id, [*CLOSED, "reopened", "dispatched", "rated"])
        assert answer.status_code == 200


@pytest.mark.parametrize("scores", [(2, 5), (5, 2)])
async def test_two_feedbacks(stack: Stack, city: City, scores: tuple[int, int]) -> None:
    """The link opened twice: what was sent first is what both are told, and what counts."""
    case_id = await closed_case(city)
    assert not await quiet(stack.endpoints), "nobody else may be caught by the lock"
    async with held_table(city, "notify", "outbox"):
        sent = []
        for number, score in enumerate(scores, 1):
            verdict = city.rate(case_id, 5, score=score, solved=True)
            sent.append(asyncio.create_task(verdict))
            await blocked(city, "notify", number)
    first, second = await asyncio.gather(*sent)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    assert first.json()["score"] == scores[0]
    await until_ledger(city, case_id, [*CLOSED, "rated"])
    metrics = await city.database("metrics")

    async def counted() -> Any:
        return await metrics.fetchval("SELECT score FROM fact WHERE case_id = $1", case_id)

    assert await city.until(counted, "score in the figures") == scores[0]


async def test_the_books_balance_after_all_races(stack: Stack, city: City) -> None:
    code, document = await audit(stack.home.root)
    assert code == 0, [each for each in document["lines"] if not each["balanced"]]
