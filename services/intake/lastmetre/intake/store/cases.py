"""The ledger as residents see it: a row for each case, and one for what each turn told of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from lastmetre.intake.domain.case_view import CaseView, Entry

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def last_seqs(connection: "Connection", case_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How far these cases have come here.

    Not locked: they change only with the position of their partition, which the caller holds.
    """
    rows = await connection.fetch(
        "SELECT case_id, seq FROM case_view WHERE case_id = ANY($1::uuid[])", case_ids
    )
    return {row[0]: row[1] for row in rows}


class NewCase(NamedTuple):
    """A row of `case_view`."""

    case_id: UUID
    report_id: UUID
    number: str
    seq: int


async def add(connection: "Connection", new: Sequence[NewCase]) -> None:
    """Insert cases that are not known yet."""
    await connection.copy_records_to_table("case_view", records=new, columns=NewCase._fields)


async def move(connection: "Connection", moved: Sequence[tuple[UUID, int]]) -> None:
    """Note how far cases have come: (case id, seq)."""
    await connection.execute(
        "UPDATE case_view v SET seq = m.seq"
        " FROM unnest($1::uuid[], $2::int[]) AS m(case_id, seq) WHERE v.case_id = m.case_id",
        [case_id for case_id, _ in moved],
        [seq for _, seq in moved],
    )


class Told(NamedTuple):
    """What one turn told of a case, up to the event `seq`."""

    case_id: UUID
    seq: int
    entries: Sequence[Entry]


async def append_timelines(connection: "Connection", told: Sequence[Told]) -> None:
    """Add events in sequence, none of which is there yet."""
    await connection.copy_records_to_table(
        "timeline",
        records=[(each.case_id, each.seq, to_json(each.entries).decode()) for each in told],
        columns=("case_id", "seq", "events"),
    )


class Followed(NamedTuple):
    """A report with what became of it, as its reporter may see it."""

    report_id: UUID
    identity: bytes
    channel: str
    outcome: str
    reasons: list[str]
    category: str
    reported_at: datetime
    latitude: float | None
    longitude: float | None
    view: CaseView | None

    @property
    def timeline(self) -> Sequence[Entry]:
        """The case's events, oldest first; none before there is a case."""
        return self.view.timeline if self.view else ()


_FOLLOWED = """
    SELECT r.report_id, r.identity, r.channel, r.outcome, r.reasons, r.category, r.reported_at,
        r.latitude, r.longitude, c.case_id, c.number
    FROM report r LEFT JOIN case_view c USING (report_id)
"""


async def followed(connection: "Connection", identity: bytes) -> Followed | None:
    """The report with this identity, its case and timeline; None if it was not read yet."""
    row = await connection.fetchrow(f"{_FOLLOWED} WHERE r.identity = $1", identity)
    if row is None:
        return None
    view = None
    if (case_id := row["case_id"]) is not None:
        events = await timeline(connection, case_id)
        view = CaseView(case_id, row["report_id"], row["number"], events)
    return Followed(
        row["report_id"],
        row["identity"],
        row["channel"],
        row["outcome"],
        row["reasons"],
        row["category"],
        row["reported_at"],
        row["latitude"],
        row["longitude"],
        view,
    )


async def timeline(connection: "Connection", case_id: UUID) -> list[Entry]:
    """A case's events, oldest first."""
    rows = await connection.fetch(
        "SELECT events FROM timeline WHERE case_id = $1 ORDER BY seq", case_id
    )
    return [
        Entry(
            seq,
            kind,
            datetime.fromisoformat(occurred_at),
            datetime.fromisoformat(recorded_at),
            details,
        )
        for row in rows
        for seq, kind, occurred_at, recorded_at, details in from_json(row[0])
    ]


async def by_number(connection: "Connection", number: str) -> tuple[UUID, bytes] | None:
    """The report id and identity of the case with this number."""
    row = await connection.fetchrow(
        """
        SELECT r.report_id, r.identity FROM case_view c JOIN report r USING (report_id)
        WHERE c.number = $1
        """,
        number,
    )
    return (row[0], row[1]) if row else None


async def identity_of(connection: "Connection", case_id: UUID) -> bytes | None:
    """The identity of the report that became this case."""
    identity: bytes | None = await connection.fetchval(
        "SELECT r.identity FROM case_view c JOIN report r USING (report_id) WHERE c.case_id = $1",
        case_id,
    )
    return identity
