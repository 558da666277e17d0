"""What leads and residents do all day, as tests of faults have them do it."""

import uuid
from datetime import UTC, datetime
from typing import Final

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.callers import Role
from tests.support.city.people import People

AWAY: Final = (
    *DATABASE_ERRORS, asyncpg.PostgresError, KafkaError, httpx.TransportError, TimeoutError,
)  # fmt: skip
"""Somebody does not answer; he is asked again."""
SECONDS: Final = 5
TO_STEP: Final = "state IN ('dispatched', 'accepted') AND is_open"
TO_RATE: Final = "state = 'closed' AND rated = '{}'"


async def newest_cases(
    dispatch: "asyncpg.Connection[asyncpg.Record]", such: str, count: int
) -> list[asyncpg.Record]:
    """Some of dispatch's cases that a lead has and that are `such`."""
    return await dispatch.fetch(
        f'SELECT case_id, state, lead_id, closings FROM "case" WHERE {such}'
        " AND lead_id IS NOT NULL ORDER BY case_id DESC LIMIT $1",
        count,
        timeout=SECONDS,
    )


async def next_step(city: People, url: str, number: int, case: asyncpg.Record) -> None:
    """Its lead accepts or resolves: every other time by a form of dispatch's process at `url`, as
    older builds take it too, else by the topic. Answers are dispatch's affair."""
    action = Action.ACCEPT if case["state"] == "dispatched" else Action.RESOLVE
    if number % 2:
        await city.http.post(
            f"{url}/work/cases/{case['case_id']}/actions",
            data={"action": action.value},
            headers=city.bearer(Role.LEAD, case["lead_id"]),
        )
    else:
        await city.ask(
            ActionRequested(
                case_id=case["case_id"],
                action_id=uuid.uuid4(),
                action=action,
                actor=Actor(role=ActorRole.LEAD, id=case["lead_id"]),
                occurred_at=datetime.now(UTC),
            )
        )


async def rate_some(city: People, closed: list[asyncpg.Record]) -> int:
    """Residents rate the last closing of each; how many could."""
    answers = [await city.rate_by_form(each["case_id"], each["closings"][-1]) for each in closed]
    return sum(each.is_redirect for each in answers)
