"""Whether an audit can go on from a checkpoint, and what was touched since."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

from lastmetre.audit.checkpoint import Checkpoint, CheckpointUnusable
from lastmetre.audit.consistent_cut import ConsistentCut, Since
from lastmetre.audit.snapshot import Snapshot
from lastmetre.audit.tables import TABLES, TOUCHING, KeptBy, Rows, Table
from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.kafka.topic_reader import Place

OLDEST_TRANSACTIONS: Final = 2**30
"""Ids of transactions come round again after four times as many."""
OPEN_RECORDS: Final = 1000
TOUCHED_CASES: Final = 20_000
TOUCHED_SHARE: Final = 3
"""More open records, or more touched cases than that and than a third: to read all is quicker."""


@dataclass(frozen=True)
class Counted:
    """The rows of a table: how many in all, those written before a moment, and the cases that rows
    written since are of."""

    total: int
    before: Rows
    touched: frozenset[str]


async def since_checkpoint(cut: ConsistentCut, checkpoint: Checkpoint) -> Since:
    """What to look at. From here on the cut's rows are told apart by the checkpoint.

    Raises CheckpointUnusable where everything has to be counted.
    """
    _check_same_city(cut, checkpoint)
    _check_topics(cut, checkpoint)
    await _check_last_records(cut, checkpoint)
    for snapshot in cut.snapshots:
        age = await _age(snapshot, checkpoint)
        snapshot.recent = f"age(xmin) <= {age}"
    since = Since(checkpoint, set(checkpoint.open_cases), set())
    counted = await _count_all(cut)
    for table, found in counted.items():
        if table.of_case:
            since.cases |= found.touched
    await _touched_otherwise(cut, since)
    await _check_rows(cut, since, counted)
    _check_files(cut, checkpoint)
    cases = next(each for table, each in counted.items() if table.name == "case").total
    if len(since.cases) > max(TOUCHED_CASES, cases // TOUCHED_SHARE):
        raise CheckpointUnusable(f"{len(since.cases):,} of {cases:,} cases were touched since")
    return since


def _check_same_city(cut: ConsistentCut, checkpoint: Checkpoint) -> None:
    if checkpoint.topic_prefix != cut.targets.prefix:
        raise CheckpointUnusable("the checkpoint is of topics with another prefix")
    anew = sorted(
        topic
        for topic, topic_id in checkpoint.topic_ids.items()
        if cut.topic_ids.get(topic) != topic_id
    )
    if anew:
        raise CheckpointUnusable(f"made anew since the checkpoint: {', '.join(anew)}")
    for service, state in checkpoint.databases.items():
        if cut.identities.get(service) != state.identity:
            raise CheckpointUnusable(
                f"{service}'s database is another one than at the checkpoint, or went back in time"
            )


def _check_topics(cut: ConsistentCut, checkpoint: Checkpoint) -> None:
    if len(checkpoint.open_records) > OPEN_RECORDS:
        raise CheckpointUnusable(f"{len(checkpoint.open_records):,} records were open")
    for place, start in checkpoint.starts.items():
        name = f"{place[0]}/{place[1]}"
        if cut.before[place] < start:
            raise CheckpointUnusable(f"{name} ends at {cut.before[place]}, before the checkpoint")
        if cut.first[place] > start and place[0] not in CHANNEL_TOPICS:
            raise CheckpointUnusable(f"{name} begins behind the checkpoint")
        for snapshot in cut.snapshots:
            if place[0] in READERS[snapshot.service] and cut.position(snapshot, place) < start:
                raise CheckpointUnusable(f"{snapshot.service}'s position in {name} has gone back")


async def _check_last_records(cut: ConsistentCut, checkpoint: Checkpoint) -> None:
    """A topic that was cut off, or restored, and has grown again has other records there."""
    here = await appended_before(cut, checkpoint.starts)
    for topic, appended in checkpoint.appended.items():
        for partition, at in enumerate(appended):
            place = topic, partition
            kept = cut.first[place] < checkpoint.starts[place]
            if kept and at is not None and here.get(place) != at:
                raise CheckpointUnusable(f"{topic}/{partition} holds other records than it did")


async def appended_before(cut: ConsistentCut, starts: Mapping[Place, int]) -> dict[Place, int]:
    """The append time of the record before each of these offsets, where there is one."""
    until = {place: start for place, start in starts.items() if start > cut.first[place]}
    last = {place: start - 1 for place, start in until.items()}
    return {
        (record.topic, record.partition): record.timestamp
        async for record in cut.topics.records(until, last, until)
    }


async def schema_versions(snapshot: Snapshot) -> str:
    """The migrations of a database."""
    found = await snapshot.rows(
        "SELECT string_agg(package || ' ' || version, ', ' ORDER BY package, version)"
        " FROM migration"
    )
    return str(found[0][0])


async def _age(snapshot: Snapshot, checkpoint: Checkpoint) -> int:
    """How many transactions ago the checkpoint was, at most, as PostgreSQL counts them."""
    state = checkpoint.databases[snapshot.service]
    if await schema_versions(snapshot) != state.schema_versions:
        raise CheckpointUnusable(f"{snapshot.service}'s tables were migrated since the checkpoint")
    rows = await snapshot.rows("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    if not 0 <= rows[0][0] - state.limit < OLDEST_TRANSACTIONS:
        raise CheckpointUnusable(f"{snapshot.service}'s database counts other transactions")
    return await age_of(snapshot, state.limit)


async def age_of(snapshot: Snapshot, limit: int) -> int:
    """The same of any full transaction id."""
    found = await snapshot.rows("SELECT age($1::text::xid8::xid)", str(limit))
    return int(found[0][0])


async def _count_all(cut: ConsistentCut) -> dict[Table, Counted]:
    """All tables, of the four databases at once."""
    counted: dict[Table, Counted] = {}
    tasks = [asyncio.create_task(_count(each)) for each in cut.snapshots]
    await asyncio.wait(tasks)  # all of them: a connection in use could not be closed
    for task in tasks:
        counted |= task.result()
    return counted


async def _count(snapshot: Snapshot) -> dict[Table, Counted]:
    found = {}
    for table in TABLES:
        if table.service == snapshot.service:
            touched = (
                "array_agg(DISTINCT case_id::text)" if table.of_case else "array_agg(''::text)"
            )
            row = (
                await snapshot.rows(
                    "SELECT count(*), count(*) FILTER (WHERE NOT r.recent),"  # noqa: S608
                    " coalesce(bit_xor(r.digest) FILTER (WHERE NOT r.recent), 0),"
                    f" {touched} FILTER (WHERE r.recent)"
                    f" FROM (SELECT *, {snapshot.recent} AS recent, {table.digest} AS digest"
                    f" FROM {table.quoted}) AS r"
                )
            )[0]
            found[table] = Counted(row[0], Rows(row[1], row[2]), frozenset(row[3] or ()))
    return found


async def _touched_otherwise(cut: ConsistentCut, since: Since) -> None:
    """Cases with rows in the other tables, or other reports in intake than in dispatch; reports."""
    for service, name in TOUCHING:
        snapshot = next(each for each in cut.snapshots if each.service == service)
        since.cases |= await _column(
            snapshot,
            f"SELECT case_id::text FROM {name} WHERE {snapshot.recent}",  # noqa: S608
        )
    joined = await cut.dispatch.rows(
        "SELECT case_id::text, unnest(merged)::text FROM \"case\" WHERE merged <> '{}'"
    )
    shown = await cut.intake.rows("SELECT case_id::text, report_id::text FROM merged_report")
    for case_id, report_id in {*map(tuple, joined)} ^ {*map(tuple, shown)}:
        since.cases.add(case_id)
        since.reports.add(report_id)
    since.reports |= await _column(
        cut.intake,
        f"SELECT report_id::text FROM report WHERE {cut.intake.recent}",  # noqa: S608
    )
    # What a touched case is of, whatever its row says now.
    since.reports |= await _column(
        cut.intake,
        "SELECT report_id::text FROM case_view WHERE case_id = ANY($1::uuid[])",
        list(since.cases),
    )
    since.reports |= await _column(
        cut.dispatch,
        "SELECT unnest(report_id || merged)::text"  # noqa: S608
        f' FROM "case" WHERE {cut.dispatch.recent}',
    )


async def _check_rows(cut: ConsistentCut, since: Since, counted: dict[Table, Counted]) -> None:
    """No row that the checkpoint counted is gone, or says something else. Raises
    CheckpointUnusable."""
    new_cases = await _new_cases(cut, since.checkpoint)
    for table, found in counted.items():
        snapshot = next(each for each in cut.snapshots if each.service == table.service)
        expected = since.checkpoint.databases[table.service].rows[table.name]
        if table.kept_by is KeptBy.CASE:
            here = Rows(found.total - await rows_of_cases(snapshot, table, new_cases), 0)
        elif found.before == expected:
            here = expected
        else:
            here = found.before.with_also(await _written_anew(cut, snapshot, table, since))
        if here.number != expected.number:
            raise CheckpointUnusable(
                f"{expected.number:,} rows of {table.service}'s {table.name} were counted at the"
                f" checkpoint, {here.number:,} of them are there"
            )
        if here != expected:
            raise CheckpointUnusable(
                f"older rows of {table.service}'s {table.name} say something else than they did"
            )


async def _new_cases(cut: ConsistentCut, checkpoint: Checkpoint) -> list[str]:
    """Cases none of whose events was below the checkpoint's start."""
    registered = await _column(
        cut.dispatch,
        f"SELECT case_id::text FROM ledger WHERE seq = 1 AND {cut.dispatch.recent}",  # noqa: S608
    )
    unrelayed = {case_id for case_id, events in checkpoint.relayed.items() if events == 0}
    return sorted(registered | unrelayed)


async def rows_of_cases(snapshot: Snapshot, table: Table, cases: Iterable[str]) -> int:
    """How many rows of these cases the table has."""
    found = await snapshot.rows(
        f"SELECT count(*) FROM {table.quoted} WHERE case_id = ANY($1::uuid[])",  # noqa: S608
        list(cases),
    )
    return int(found[0][0])


async def _written_anew(cut: ConsistentCut, snapshot: Snapshot, table: Table, since: Since) -> Rows:
    """Of the rows written since: those that had been there before."""
    checkpoint = since.checkpoint
    recent = f"FROM {table.quoted} WHERE {snapshot.recent}"
    kept: list[int] = []
    match table.kept_by:
        case KeptBy.RECORD:
            rows = await snapshot.rows(
                f'SELECT topic, partition, "offset", {table.digest} {recent}'
            )
            kept = [row[3] for row in rows if checkpoint.was_read((row[0], row[1]), row[2])]
        case KeptBy.LETTER:
            rows = await snapshot.rows(f'SELECT flow, topic, partition, "offset" {recent}')
            parked = set(checkpoint.databases[table.service].parked)
            kept = [
                0
                for row in rows
                if row[3] < checkpoint.starts[row[1], row[2]] and tuple(row) not in parked
            ]
        case KeptBy.ANSWER:
            rows = await snapshot.rows(f"SELECT feedback_id::text, {table.digest} {recent}")
            answered = await answered_before(cut, [row[0] for row in rows])
            kept = [row[1] for row in rows if row[0] in answered]
        case KeptBy.REQUEST:
            asked = await _column(snapshot, f"SELECT request_id::text {recent}")
            kept = [0 for _ in asked & set(checkpoint.asked_again)]
        case _:
            pass
    return Rows(len(kept), reduce(xor, kept, 0))


async def answered_before(cut: ConsistentCut, feedback_ids: Iterable[str]) -> set[str]:
    """Feedback that dispatch had answered by the checkpoint: so it was on its topic."""
    return await _column(
        cut.dispatch,
        "SELECT request_id::text FROM answer WHERE kind = 'feedback'"  # noqa: S608
        f" AND request_id = ANY($1::uuid[]) AND NOT {cut.dispatch.recent}",
        list(feedback_ids),
    )


def _check_files(cut: ConsistentCut, checkpoint: Checkpoint) -> None:
    here = earlier_files(cut, checkpoint.taken_at.timestamp())
    if here != checkpoint.message_files:
        raise CheckpointUnusable(
            f"{checkpoint.message_files:,} files of messages were counted, {here:,} are there"
        )


def earlier_files(cut: ConsistentCut, moment: float) -> int:
    """How many files of messages were written before that moment, seconds since 1970 UTC."""
    return sum(path.stat().st_mtime < moment for path in cut.files_after)


async def _column(snapshot: Snapshot, sql: str, *arguments: object) -> set[str]:
    return {row[0] for row in await snapshot.rows(sql, *arguments)}
