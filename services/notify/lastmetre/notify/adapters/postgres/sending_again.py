"""Requests to send messages again, and what came of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.notify.domain.messages import message_id, shard_of
from lastmetre.notify.domain.sending_again import AskedAgain
from lastmetre.notify.domain.stored_messages import StoredMessage

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class Request(NamedTuple):
    """A request, the message that it is about, and the result once there is one."""

    asked: AskedAgain
    case_id: UUID
    recipient: str
    seq: int
    result: str | None

    @property
    def first_id(self) -> UUID:
        """The id of the message as it was sent first."""
        return message_id(self.case_id, self.seq, self.recipient)


def asked_again(request_id: UUID, role: str, actor: str | None, asked_at: datetime) -> AskedAgain:
    """Who asked, from the columns."""
    return AskedAgain(request_id, Actor(role=ActorRole(role), id=actor), asked_at)


async def requests(connection: "Connection", request_ids: Collection[UUID]) -> dict[UUID, Request]:
    """Those of these requests that are known here, by id."""
    rows = await connection.fetch(
        "SELECT request_id, asked_role, asked_by, asked_at, case_id, recipient, seq, result"
        " FROM message_again WHERE request_id = ANY($1::uuid[])",
        list(request_ids),
    )
    return {row[0]: Request(asked_again(*row[:4]), *row[4:]) for row in rows}


async def lock(connection: "Connection", case_id: UUID) -> None:
    """Nobody else asks to send this case's messages again until the transaction ends."""
    await connection.execute(
        "SELECT FROM message_done WHERE case_id = $1 ORDER BY recipient, seq FOR UPDATE", case_id
    )


async def ask(
    connection: "Connection",
    message: StoredMessage,
    asked: AskedAgain,
    real_now: datetime,
    traceparent: str,
) -> None:
    """Keep the request, and put the message behind those that wait to be sent."""
    await connection.execute(
        "INSERT INTO message_again (request_id, case_id, recipient, seq, asked_role, asked_by,"
        " asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        asked.request_id,
        message.case_id,
        message.recipient,
        message.seq,
        asked.actor.role.value,
        asked.actor.id,
        asked.asked_at,
    )
    await connection.execute(
        "INSERT INTO message_waiting (case_id, recipient, seq, shard, kind, asked_at, not_before,"
        " occurred_at, traceparent, lead_zh, lead_en, again)"
        " VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11)",
        message.case_id,
        message.recipient,
        message.seq,
        shard_of(message.case_id),
        message.kind,
        real_now,
        asked.asked_at,
        traceparent,
        message.lead_zh,
        message.lead_en,
        asked.request_id,
    )


async def end(
    connection: "Connection",
    request_ids: Collection[UUID],
    result: str,
    provider: str | None,
    error: str | None,
    now: datetime,
) -> dict[UUID, AskedAgain]:
    """Bring requests to their end; `now` is city time. Returns who had asked."""
    rows = await connection.fetch(
        "UPDATE message_again SET result = $2, provider = $3, error = $4, occurred_at = $5"
        " WHERE request_id = ANY($1::uuid[])"
        " RETURNING request_id, asked_role, asked_by, asked_at",
        list(request_ids),
        result,
        provider,
        error,
        now,
    )
    return {row[0]: asked_again(*row) for row in rows}


class EndedRequest(NamedTuple):
    """A request at its end, as the log has it, for a message that is known here."""

    asked: AskedAgain
    case_id: UUID
    recipient: str
    seq: int
    result: str
    provider: str | None
    error: str | None
    occurred_at: datetime


async def insert_ended(connection: "Connection", ended: Sequence[EndedRequest]) -> None:
    """Keep requests that this database had forgotten."""
    await connection.executemany(
        "INSERT INTO message_again (request_id, asked_role, asked_by, asked_at, case_id, recipient,"
        " seq, result, provider, error, occurred_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        [
            (
                each.asked.request_id,
                each.asked.actor.role.value,
                each.asked.actor.id,
                each.asked.asked_at,
                *each[1:],
            )
            for each in ended
        ],
    )
