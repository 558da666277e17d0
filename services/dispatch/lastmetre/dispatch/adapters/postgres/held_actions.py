"""Actions that can still be taken back, and who has which case open. Times are real ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from lastmetre.common.contracts.requests import ActionRequested
from lastmetre.dispatch.domain.held_actions import HeldAction

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection


_COLUMNS = "request, number, traceparent, due_at, refusal"


def _held(row: "asyncpg.Record") -> HeldAction:
    request, *rest = row
    return HeldAction(ActionRequested.from_json(request), *rest)


async def hold(connection: "Connection", action: HeldAction) -> bool:
    """Keep an action until it is due, or a refused one until its actor has seen it.

    False if another is waiting to be due for that case already.
    """
    status = await connection.execute(
        "INSERT INTO held_action"
        " (action_id, case_id, number, actor, request, traceparent, due_at, refusal)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        action.action_id,
        action.request.case_id,
        action.number,
        action.request.actor.id,
        action.request.to_json(),
        action.traceparent,
        action.due_at,
        action.refusal,
    )
    return status == "INSERT 0 1"


async def held(connection: "Connection", action_id: UUID) -> HeldAction | None:
    """The action of that id, if it is not decided yet."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM held_action WHERE action_id = $1 AND refusal IS NULL",  # noqa: S608
        action_id,
    )
    return None if row is None else _held(row)


async def of_cases(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, HeldAction]:
    """What is held of these cases, by case."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM held_action"  # noqa: S608
        " WHERE case_id = ANY($1::uuid[]) AND refusal IS NULL",
        case_ids,
    )
    return {each.request.case_id: each for each in map(_held, rows)}


async def refused_of(connection: "Connection", actor: str) -> list[HeldAction]:
    """What somebody asked for and was not done, until he has seen it."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM held_action"  # noqa: S608
        " WHERE actor = $1 AND refusal IS NOT NULL ORDER BY due_at",
        actor,
    )
    return list(map(_held, rows))


async def take_back(connection: "Connection", action_id: UUID, actor: str) -> HeldAction | None:
    """Forget somebody's action that is not decided yet; None if it is, or was never held."""
    row = await connection.fetchrow(
        "DELETE FROM held_action"  # noqa: S608
        f" WHERE action_id = $1 AND actor = $2 AND refusal IS NULL RETURNING {_COLUMNS}",
        action_id,
        actor,
    )
    return None if row is None else _held(row)


async def seen(connection: "Connection", action_id: UUID, actor: str) -> None:
    """Its actor knows that it was not done."""
    await connection.execute(
        "DELETE FROM held_action WHERE action_id = $1 AND actor = $2 AND refusal IS NOT NULL",
        action_id,
        actor,
    )


async def any_due(connection: "Connection", now: datetime) -> bool:
    """Whether there is one that is due."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM held_action WHERE refusal IS NULL AND due_at <= $1)", now
    )
    return found


async def take_due(connection: "Connection", now: datetime, limit: int) -> list[HeldAction]:
    """Those that are due, taken out; others take others. They are back if this is not committed."""
    rows = await connection.fetch(
        f"""
        DELETE FROM held_action WHERE action_id IN (
            SELECT action_id FROM held_action WHERE refusal IS NULL AND due_at <= $1
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING {_COLUMNS}
        """,  # noqa: S608
        now,
        limit,
    )
    return sorted(map(_held, rows), key=lambda each: each.due_at)


async def note_viewer(
    connection: "Connection", case_id: UUID, viewer: str, now: datetime, gone_after: timedelta
) -> None:
    """Somebody has that case open, and no more those that he has not said so of for a while."""
    await connection.execute(
        "INSERT INTO case_viewer (case_id, viewer, seen_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (case_id, viewer) DO UPDATE SET seen_at = excluded.seen_at",
        case_id,
        viewer,
        now,
    )
    await connection.execute(
        "DELETE FROM case_viewer WHERE viewer = $1 AND seen_at < $2", viewer, now - gone_after
    )


async def viewers(connection: "Connection", case_id: UUID, since: datetime) -> list[str]:
    """Who has a case open, by name."""
    rows = await connection.fetch(
        "SELECT viewer FROM case_viewer WHERE case_id = $1 AND seen_at > $2 ORDER BY viewer",
        case_id,
        since,
    )
    return [row[0] for row in rows]


async def change_mark(connection: "Connection", topic: str) -> tuple[object, ...]:
    """Another value as soon as a case has changed, whoever changed it, an action is held, or
    somebody opens a case. `topic` may have a prefix there."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT sum(next_offset) FROM outbox_acknowledged
                WHERE right(topic, length($1)) = $1),
               (SELECT max(due_at) FROM held_action), (SELECT count(*) FROM held_action),
               (SELECT count(refusal) FROM held_action),
               (SELECT max(seen_at) FROM case_viewer), (SELECT count(*) FROM case_viewer)
        """,
        topic,
    )
    assert row is not None
    return tuple(row)
