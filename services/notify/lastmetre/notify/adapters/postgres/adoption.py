"""What the service's own topics tell that this database has forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from lastmetre.notify.adapters.postgres import sending_again
from lastmetre.notify.adapters.postgres.sending_again import asked_again
from lastmetre.notify.domain.messages import id_sent_again, message_id
from lastmetre.notify.domain.sending_again import AskedAgain

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection

Key = tuple[UUID, str, int]
"""(case id, recipient, seq)"""


class AdoptedDelivery(NamedTuple):
    """The end of a message, as `notify.deliveries` has it.

    Not `told`: of a message that was attempted, and whose end nobody knows: it is not there yet.
    """

    message_id: UUID
    case_id: UUID
    seq: int
    result: str
    provider: str | None
    error: str | None
    occurred_at: datetime
    told: bool = True
    first_id: UUID | None = None
    """Of the message that was sent again; None if this one was sent for the first time."""
    asked: AskedAgain | None = None
    """Who asked to send it again."""


class WaitingMessage(NamedTuple):
    """A message that is not at its end, and how often it was tried as far as is known here."""

    case_id: UUID
    recipient: str
    seq: int
    attempts: int
    request_id: UUID | None = None
    """For which it is sent again."""

    @property
    def key(self) -> Key:
        """What names the message."""
        return self.case_id, self.recipient, self.seq

    @property
    def message_id(self) -> UUID:
        """The message's own id."""
        first_id = message_id(self.case_id, self.seq, self.recipient)
        return id_sent_again(first_id, self.request_id) if self.request_id else first_id


async def ended(
    connection: "Connection", case_ids: Sequence[UUID], seqs: Sequence[int]
) -> list[Key]:
    """The messages of these events, (case id, seq) each, that are at their end."""
    rows = await connection.fetch(
        "SELECT case_id, recipient, seq FROM message_done"
        " WHERE (case_id, seq) IN (SELECT * FROM unnest($1::uuid[], $2::int[]))",
        case_ids,
        seqs,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def waiting(
    connection: "Connection", case_ids: Sequence[UUID], seqs: Sequence[int]
) -> list[WaitingMessage]:
    """The messages of these events, (case id, seq) each, that are not at their end."""
    rows = await connection.fetch(
        "SELECT case_id, recipient, seq, attempts, again FROM message_waiting"
        " WHERE (case_id, seq) IN (SELECT * FROM unnest($1::uuid[], $2::int[]))",
        case_ids,
        seqs,
    )
    return [WaitingMessage(*row) for row in rows]


async def finish_waiting(
    connection: "Connection", deliveries: Sequence[tuple[Key, AdoptedDelivery]]
) -> int:
    """Bring messages that wait, or are `sending`, to the end that they have had already.

    None that is sent again: see `finish_again`.
    """
    status = await connection.execute(
        """
        WITH ended AS (
            DELETE FROM message_waiting w
            USING unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[],
                $7::timestamptz[])
                AS n(case_id, recipient, seq, result, provider, error, occurred_at)
            WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
            RETURNING w.case_id, w.recipient, w.seq, w.kind, n.result, n.provider, n.error,
                n.occurred_at, w.lead_zh, w.lead_en
        )
        INSERT INTO message_done
            (case_id, recipient, seq, kind, result, provider, error, occurred_at, lead_zh, lead_en)
        SELECT * FROM ended
        """,
        *zip(
            *((*key, d.result, d.provider, d.error, d.occurred_at) for key, d in deliveries),
            strict=True,
        ),
    )
    return int(status.split()[-1])


async def claim_again(
    connection: "Connection", attempts: Sequence[tuple[WaitingMessage, str, int]]
) -> int:
    """Note that these are with a provider: (message, provider, attempt). Returns how many."""
    status = await connection.execute(
        """
        UPDATE message_waiting w SET sending_by = n.provider, attempts = n.attempt
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::int[])
            AS n(case_id, recipient, seq, provider, attempt)
        WHERE w.case_id = n.case_id AND w.recipient = n.recipient AND w.seq = n.seq
        """,
        [message.case_id for message, _, _ in attempts],
        [message.recipient for message, _, _ in attempts],
        [message.seq for message, _, _ in attempts],
        [provider for _, provider, _ in attempts],
        [attempt for _, _, attempt in attempts],
    )
    return int(status.split()[-1])


async def keep(connection: "Connection", deliveries: Sequence[AdoptedDelivery]) -> int:
    """Keep the ends of messages that nobody has asked for yet; returns how many are new.

    One that was told takes the place of one that was not.
    """
    status = await connection.execute(
        "INSERT INTO adopted_delivery AS a"
        " (message_id, case_id, seq, result, provider, error, occurred_at, told, first_id,"
        " request_id, asked_role, asked_by, asked_at)"
        " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[],"
        " $6::text[], $7::timestamptz[], $8::bool[], $9::uuid[], $10::uuid[], $11::text[],"
        " $12::text[], $13::timestamptz[])"
        " ON CONFLICT (message_id) DO UPDATE SET result = excluded.result,"
        " provider = excluded.provider, error = excluded.error,"
        " occurred_at = excluded.occurred_at, told = true WHERE excluded.told AND NOT a.told",
        *zip(*((*each[:-1], *_asked(each.asked)) for each in deliveries), strict=True),
    )
    return int(status.split()[-1])


def _asked(asked: AskedAgain | None) -> tuple[object, ...]:
    if asked is None:
        return None, None, None, None
    return asked.request_id, asked.actor.role.value, asked.actor.id, asked.asked_at


async def is_anything_kept(connection: "Connection") -> bool:
    """Whether the end of any message waits for the event that asks for it: hardly ever."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM adopted_delivery)"))


async def take(
    connection: "Connection", message_ids: Sequence[UUID]
) -> dict[UUID, AdoptedDelivery]:
    """The ends that these messages have had already, and those of what was sent again of them, each
    by its own id. They are kept no longer: the caller ends the messages in the same transaction."""
    rows = await connection.fetch(
        "DELETE FROM adopted_delivery"
        " WHERE message_id = ANY($1::uuid[]) OR first_id = ANY($1::uuid[])"
        " RETURNING message_id, case_id, seq, result, provider, error, occurred_at, told, first_id,"
        " request_id, asked_role, asked_by, asked_at",
        message_ids,
    )
    return {row[0]: _adopted(row) for row in rows}


def _adopted(row: "asyncpg.Record") -> AdoptedDelivery:
    *columns, request_id, role, actor, asked_at = row
    asked = None if request_id is None else asked_again(request_id, role, actor, asked_at)
    return AdoptedDelivery._make([*columns, asked])


async def finish_again(connection: "Connection", ends: Sequence[AdoptedDelivery]) -> None:
    """Bring requests to send a message again to the end that they have had already."""
    for each in ends:
        assert each.asked is not None
        request_id = each.asked.request_id
        await connection.execute("DELETE FROM message_waiting WHERE again = $1", request_id)
        await sending_again.end(
            connection, [request_id], each.result, each.provider, each.error, each.occurred_at
        )
