"""The ledger as residents see it: a row for each case, and one for what each turn told of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from lastmetre.intake.domain.case_view import CaseView, Entry, Followed

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


class Joining(NamedTuple):
    """A row of `merged_report`."""

    report_id: UUID
    case_id: UUID
    merged_at: datetime


async def add_merged(connection: "Connection", joined: Sequence[Joining]) -> None:
    """Note reports that have joined a case."""
    await connection.copy_records_to_table("merged_report", records=joined, columns=Joining._fields)


async def remove_merged(connection: "Connection", left: Sequence[tuple[UUID, UUID]]) -> None:
    """Note reports that have left a case: (report id, case id)."""
    await connection.execute(
        "DELETE FROM merged_report"
        " WHERE (report_id, case_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))",
        [report_id for report_id, _ in left],
        [case_id for _, case_id in left],
    )


async def remove_all_merged(connection: "Connection", case_ids: Sequence[UUID]) -> None:
    """Note that no report that had joined one of these cases is there any more."""
    await connection.execute("DELETE FROM merged_report WHERE case_id = ANY($1::uuid[])", case_ids)


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


CASE_OF_REPORT: Final = """
    LEFT JOIN case_view own USING (report_id)
    LEFT JOIN LATERAL (
        SELECT m.case_id FROM merged_report m WHERE m.report_id = r.report_id
        ORDER BY m.merged_at DESC LIMIT 1) joined ON true
    LEFT JOIN case_view c ON c.case_id = coalesce(joined.case_id, own.case_id)
"""
"""SQL, after `FROM report r`: the case `c` of each report; one that it has joined comes before the
one that was registered for it."""


async def followed(connection: "Connection", identity: bytes) -> Followed | None:
    """The report with this identity, its case and timeline; None if it was not read yet."""
    row = await connection.fetchrow(
        f"""
        SELECT r.report_id, r.identity, r.channel, r.outcome, r.reasons, r.category, r.reported_at,
            r.latitude, r.longitude, c.case_id, c.number,
            coalesce(c.report_id <> r.report_id, false) AS joined,
            (SELECT count(*) FROM merged_report m WHERE m.case_id = c.case_id) AS merged
        FROM report r {CASE_OF_REPORT} WHERE r.identity = $1
        """,  # noqa: S608
        identity,
    )
    if row is None:
        return None
    view = None
    if (case_id := row["case_id"]) is not None:
        events = await timeline(connection, case_id)
        view = CaseView(case_id, row["number"], 1 + row["merged"], events)
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
        row["joined"],
    )


async def versions(connection: "Connection", identities: Sequence[bytes]) -> dict[bytes, str]:
    """Of each of these reports something that is another as soon as its page would be another."""
    rows = await connection.fetch(
        f"""
        SELECT r.identity, r.outcome, c.case_id, c.seq,
            (SELECT count(*) FROM merged_report m WHERE m.case_id = c.case_id),
            (SELECT count(*) FROM later_record l WHERE l.report_id = r.report_id),
            EXISTS (SELECT FROM vault v WHERE v.report_id = r.report_id)
        FROM report r {CASE_OF_REPORT} WHERE r.identity = ANY($1::bytea[])
        """,  # noqa: S608
        identities,
    )
    read = {row[0]: "-".join(str(value) for value in row[1:]) for row in rows}
    return dict.fromkeys(identities, "unread") | read


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


class ReportOfCase(NamedTuple):
    """One of the reports that a case was made of."""

    report_id: UUID
    identity: bytes
    channel: str
    reported_at: datetime


_REPORTS_OF: Final = """
    SELECT r.report_id, r.identity, r.channel, r.reported_at FROM (
        SELECT case_id, report_id, NULL::timestamptz AS merged_at FROM case_view
        UNION ALL SELECT case_id, report_id, merged_at FROM merged_report) AS member
    JOIN report r USING (report_id)
"""
_IN_ORDER: Final = "ORDER BY member.merged_at NULLS FIRST, r.report_id"


async def by_number(connection: "Connection", number: str) -> list[ReportOfCase]:
    """The reports of the case with this number, the one that it was registered for first."""
    rows = await connection.fetch(
        f"{_REPORTS_OF} JOIN case_view c USING (case_id) WHERE c.number = $1 {_IN_ORDER}",
        number,
    )
    return [ReportOfCase(*row) for row in rows]


async def beside(connection: "Connection", report_id: UUID) -> list[ReportOfCase]:
    """All reports of the case of this one, as `by_number`; itself alone without a case."""
    rows = await connection.fetch(
        f"""
        {_REPORTS_OF} WHERE member.case_id = (
            SELECT c.case_id FROM report r {CASE_OF_REPORT} WHERE r.report_id = $1) {_IN_ORDER}
        """,  # noqa: S608
        report_id,
    ) or await connection.fetch(
        "SELECT report_id, identity, channel, reported_at FROM report WHERE report_id = $1",
        report_id,
    )
    return [ReportOfCase(*row) for row in rows]


async def identity_of(connection: "Connection", case_or_report_id: UUID) -> bytes | None:
    """The identity of a report, or of the one that a case was registered for: ids of reports and
    cases are never the same."""
    identity: bytes | None = await connection.fetchval(
        "SELECT identity FROM report WHERE report_id = $1"
        " UNION ALL SELECT r.identity FROM case_view c JOIN report r USING (report_id)"
        " WHERE c.case_id = $1",
        case_or_report_id,
    )
    return identity
