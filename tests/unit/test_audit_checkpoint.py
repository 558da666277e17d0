"""Where a checkpoint begins again, and that only a whole one of this build is taken."""

from datetime import UTC, datetime

import pytest

from lastmetre.audit.checkpoint import (
    Checkpoint,
    CheckpointUnusable,
    DatabaseState,
    read_checkpoint,
    written_checkpoint,
)
from lastmetre.audit.mark import DatabaseMark, Mark
from lastmetre.audit.tables import Rows
from lastmetre.cli.checked_document import checked_document
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_OUTCOMES, REPORTS, SERVICES

NOW = datetime(2026, 11, 30, 4, 15, tzinfo=UTC)


def a_mark(positions: dict[str, dict[tuple[str, tuple[str, int]], int]]) -> Mark:
    ends = {(CASE_EVENTS, 3): 100, (REPORTS, 3): 50, (FIELD_OUTCOMES, 3): 20}
    return Mark(
        NOW,
        ends,
        {
            each: DatabaseMark(7, positions.get(each, {}), frozenset(), frozenset())
            for each in SERVICES
        },
    )


def test_it_begins_where_the_last_of_all_readers_stands() -> None:
    mark = a_mark(
        {
            "intake": {("cases", (CASE_EVENTS, 3)): 90},
            "notify": {("cases", (CASE_EVENTS, 3)): 120},
            "metrics": {("cases", (CASE_EVENTS, 3)): 95, ("reports", (REPORTS, 3)): 60},
            "dispatch": {("requests", (REPORTS, 3)): 55},
        }
    )
    assert mark.start((CASE_EVENTS, 3)) == 90
    assert mark.start((REPORTS, 3)) == 50  # they have read further since: the end was asked first
    assert mark.start((FIELD_OUTCOMES, 3)) == 20  # nobody reads it


def test_what_a_reader_has_not_begun_begins_at_the_beginning() -> None:
    assert a_mark({"intake": {("cases", (CASE_EVENTS, 3)): 90}}).start((CASE_EVENTS, 3)) == 0


def a_checkpoint() -> Checkpoint:
    state = DatabaseState(
        identity="1/2/3/4",
        schema_versions="core 1",
        limit=10**12,
        rows={"ledger": Rows(5, -7)},
        parked=[("requests", REPORTS, 1, 7)],
        dead=[("requests", REPORTS, 1, 9)],
    )
    return Checkpoint(
        taken_at=NOW,
        full_at=NOW,
        topic_prefix="",
        topic_ids={REPORTS: "id"},
        start={REPORTS: [10, 20]},
        databases=dict.fromkeys(SERVICES, state),
        appended={REPORTS: [None, 1]},
        writer_epochs=[0, 2],
        relayed={"case": 3},
        unrelayed=[(CASE_EVENTS, 1, "case:4")],
        unacknowledged=[(CASE_EVENTS, 1, "case:3")],
        open_cases=[],
        asked_again=[],
        message_files=0,
    )


def test_it_comes_back_as_it_was_written() -> None:
    assert read_checkpoint(written_checkpoint(a_checkpoint())) == a_checkpoint()


@pytest.mark.parametrize(
    ("offset", "was_read"), [(6, True), (7, False), (9, False), (19, True), (20, False)]
)
def test_what_was_open_was_not_read(offset: int, was_read: bool) -> None:
    assert a_checkpoint().was_read((REPORTS, 1), offset) is was_read


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "damaged"),
        (written_checkpoint(a_checkpoint())[:-9], "damaged"),
        (written_checkpoint(a_checkpoint()).replace(b'"core 1"', b'"core 2"'), "damaged"),
        (checked_document({"format": 2}), "another build"),
        (checked_document([]), "another build"),
        (checked_document(a_checkpoint().model_dump(mode="json") | {"start": 1}), "another build"),
        (checked_document(a_checkpoint().model_dump(mode="json") | {"databases": {}}), "another"),
    ],
)
def test_no_other_document_is_taken_for_one(document: bytes, why: str) -> None:
    with pytest.raises(CheckpointUnusable, match=why):
        read_checkpoint(document)
