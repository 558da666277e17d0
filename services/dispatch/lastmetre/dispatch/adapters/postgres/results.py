"""The results of commands (table `answer`), by the kind of command and its own id."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import asyncpg

from lastmetre.dispatch.domain.commands import FEEDBACK_KIND, CommandId

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_COLUMNS: Final = (
    "request_id", "case_id", "kind", "refusal", "seq", "answered_at", "fingerprint", "meaning",
)  # fmt: skip


class CommandResult(NamedTuple):
    """What was answered to an action or a feedback; `refusal` is None where it was done.

    Both digests tell what was asked. None, if it is not known: for a result that was adopted from
    the log, or is older than the digest.
    """

    request_id: UUID
    case_id: UUID
    kind: str
    refusal: str | None
    seq: int
    answered_at: datetime
    fingerprint: bytes | None = None
    fingerprint_v0: bytes | None = None
    """What builds of before compare; to be dropped with its column `meaning`."""

    @property
    def command_id(self) -> CommandId:
        """What the result is found by."""
        return self.kind == FEEDBACK_KIND, self.request_id


async def results_of(
    connection: "Connection", request_ids: Sequence[UUID]
) -> dict[CommandId, CommandResult]:
    """The results already given under these ids."""
    rows = await connection.fetch(
        "SELECT request_id, case_id, kind, refusal, seq, answered_at, fingerprint, meaning"
        " FROM answer WHERE request_id = ANY($1::uuid[])",
        request_ids,
    )
    results = [CommandResult(*row) for row in rows]
    return {each.command_id: each for each in results}


async def insert_results(connection: "Connection", new: Iterable[CommandResult]) -> None:
    """New results, by COPY. Raises SerializationError if one has been given meanwhile."""
    try:
        await connection.copy_records_to_table("answer", records=list(new), columns=_COLUMNS)
    except asyncpg.UniqueViolationError as error:
        # The same id on two cases at once: whoever comes second sees it when he begins again.
        raise asyncpg.SerializationError("answered meanwhile by another transaction") from error


async def insert_unknown_results(connection: "Connection", results: Sequence[CommandResult]) -> int:
    """Insert those that are not known yet; returns how many that were."""
    rows = await connection.fetch(
        """
        INSERT INTO answer (request_id, case_id, kind, refusal, seq, answered_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[],
                             $6::timestamptz[])
        ON CONFLICT DO NOTHING RETURNING 1
        """,
        [each.request_id for each in results],
        [each.case_id for each in results],
        [each.kind for each in results],
        [each.refusal for each in results],
        [each.seq for each in results],
        [each.answered_at for each in results],
    )
    return len(rows)
