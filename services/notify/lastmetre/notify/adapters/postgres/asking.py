"""The cases that messages are about, and what their events ask for."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from lastmetre.common.contracts.base import Language, Origin
from lastmetre.common.contracts.cases import CaseState, CategoryChanged, LocalName
from lastmetre.notify.domain.case_projection import CaseProjection, MergedReport
from lastmetre.notify.domain.messages import merged_report_of

if TYPE_CHECKING:
    import asyncpg

    from lastmetre.common.postgres.database import Connection

_CASE_COLUMNS: Final = (
    "case_id, seq, asked, reporter_reachable, acknowledged, report_id, number, language, origin,"
    " category, state, lead_id, lead_zh, lead_en, merged"
)


def category_of(message: str) -> str:
    """SQL for what the case was said to be when that message (an alias with `case_id` and `seq`)
    was asked for; the case's row is `s`."""
    return (
        "coalesce((SELECT f.category FROM former_category f"  # noqa: S608
        f" WHERE f.case_id = {message}.case_id AND f.until_seq > {message}.seq"
        " ORDER BY f.until_seq LIMIT 1), s.category) AS category"
    )


def local_name(zh: str | None, en: str | None) -> LocalName | None:
    """A name from its two columns."""
    return None if zh is None or en is None else LocalName.model_construct(zh=zh, en=en)


def _case(row: "asyncpg.Record") -> CaseProjection:
    return CaseProjection(
        row["case_id"],
        row["seq"],
        row["asked"],
        row["reporter_reachable"],
        row["acknowledged"],
        row["report_id"],
        row["number"],
        Language(row["language"]),
        Origin(row["origin"]),
        row["category"],
        CaseState(row["state"]),
        row["lead_id"],
        local_name(row["lead_zh"], row["lead_en"]),
        read_merged(row["merged"]),
    )


def read_merged(column: str | None) -> tuple[MergedReport, ...]:
    """The reports that have joined a case, as its column `merged` names them."""
    if column is None:
        return ()
    return tuple(
        MergedReport(UUID(report_id), Language(language), Origin(origin), reachable)
        for report_id, language, origin, reachable in from_json(column)
    )


class ReporterColumns(NamedTuple):
    """What a row says of the reporter that a message is for, beside the message."""

    report_id: UUID
    language: str


def reporter_of(recipient: str, of_case: ReporterColumns, merged: str | None) -> ReporterColumns:
    """The report whose reporter is meant: one that has joined the case (column `merged`), or the
    case's own."""
    report_id = merged_report_of(recipient)
    if report_id is None:
        return of_case
    languages = {each.report_id: each.language.value for each in read_merged(merged)}
    return ReporterColumns(report_id, languages.get(report_id, of_case.language))


def _merged(case: CaseProjection) -> str | None:
    return to_json(case.merged).decode() if case.merged else None


async def known_cases(
    connection: "Connection", case_ids: Sequence[UUID]
) -> dict[UUID, CaseProjection]:
    """The cases known here.

    Not locked: they change only with the position of their partition, which the caller holds.
    """
    rows = await connection.fetch(
        f"SELECT {_CASE_COLUMNS} FROM subject WHERE case_id = ANY($1::uuid[])",  # noqa: S608
        case_ids,
    )
    return {row["case_id"]: _case(row) for row in rows}


async def find_case(connection: "Connection", case_id: UUID) -> CaseProjection | None:
    """One case, if it is known here."""
    row = await connection.fetchrow(
        f"SELECT {_CASE_COLUMNS} FROM subject WHERE case_id = $1",  # noqa: S608
        case_id,
    )
    return _case(row) if row else None


async def insert_cases(connection: "Connection", projections: Sequence[CaseProjection]) -> None:
    """Cases that were not known before."""
    await connection.copy_records_to_table(
        "subject",
        records=[
            (
                s.case_id,
                s.seq,
                s.asked,
                s.reporter_reachable,
                s.acknowledged,
                s.report_id,
                s.number,
                s.language,
                s.origin,
                s.category,
                s.state,
                s.lead_id,
                s.lead.zh if s.lead else None,
                s.lead.en if s.lead else None,
                _merged(s),
            )
            for s in projections
        ],
        columns=_CASE_COLUMNS.split(", "),
    )


async def update_cases(connection: "Connection", projections: Sequence[CaseProjection]) -> None:
    """What events change of a case."""
    await connection.execute(
        """
        UPDATE subject s SET seq = n.seq, asked = n.asked, acknowledged = n.acknowledged,
            state = n.state, lead_id = n.lead_id, lead_zh = n.lead_zh, lead_en = n.lead_en,
            merged = n.merged::json, category = n.category
        FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bool[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::text[])
            AS n(case_id, seq, asked, acknowledged, state, lead_id, lead_zh, lead_en, merged,
                 category)
        WHERE s.case_id = n.case_id
        """,
        [s.case_id for s in projections],
        [s.seq for s in projections],
        [s.asked for s in projections],
        [s.acknowledged for s in projections],
        [s.state for s in projections],
        [s.lead_id for s in projections],
        [s.lead.zh if s.lead else None for s in projections],
        [s.lead.en if s.lead else None for s in projections],
        [_merged(s) for s in projections],
        [s.category for s in projections],
    )


async def note_former_categories(
    connection: "Connection", corrected: Sequence[CategoryChanged]
) -> None:
    """Keep what these cases were said to be before."""
    await connection.executemany(
        "INSERT INTO former_category (case_id, until_seq, category) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING",
        [(each.case_id, each.seq, each.previous_category) for each in corrected],
    )


class NewMessage(NamedTuple):
    """A message asked for, to be sent. `asked_at` and `not_before` are the same instant of real
    time, `occurred_at` is the event's."""

    case_id: UUID
    recipient: str
    seq: int
    shard: int
    kind: str
    asked_at: datetime
    not_before: datetime
    occurred_at: datetime
    traceparent: str
    lead_zh: str | None
    lead_en: str | None


async def insert_waiting(connection: "Connection", messages: Sequence[NewMessage]) -> None:
    """Put messages behind those that wait for the same recipient.

    One whose predecessor waits for a provider to come back is not due before it.
    """
    await connection.copy_records_to_table(
        "message_waiting", records=messages, columns=NewMessage._fields
    )
    await connection.execute(
        """
        UPDATE message_waiting w SET not_before = e.not_before FROM message_waiting e
        WHERE e.error IS NOT NULL AND e.case_id = ANY($1::uuid[])
            AND w.case_id = e.case_id AND w.recipient = e.recipient AND w.seq > e.seq
            AND w.not_before < e.not_before
        """,
        list({message.case_id for message in messages}),
    )


class DoneMessage(NamedTuple):
    """A message at its end."""

    case_id: UUID
    recipient: str
    seq: int
    kind: str
    result: str
    provider: str | None
    error: str | None
    occurred_at: datetime


async def insert_done(connection: "Connection", messages: Sequence[DoneMessage]) -> None:
    """Record the end of messages that never waited."""
    await connection.copy_records_to_table(
        "message_done", records=messages, columns=DoneMessage._fields
    )
