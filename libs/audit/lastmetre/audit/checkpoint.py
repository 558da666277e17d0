"""A checkpoint: the mark of an audit that balanced, and what was open there."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lastmetre.audit.mark import FlowRecord
from lastmetre.audit.tables import Rows
from lastmetre.audit.unrelayed import NamedRecord
from lastmetre.cli.checked_document import DocumentDamaged, checked_content, checked_document
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.kafka.topic_reader import Place

FORMAT: Final = 2
"""Of the document and of what the books rest on: one more with each change of either."""


class CheckpointUnusable(Exception):
    """Why an audit counts everything instead."""


class DatabaseState(BaseModel):
    """A database at the mark. `identity`: server, timeline and database; `schema_versions` the
    migrations; `rows` those of each table that were written before the mark."""

    model_config = ConfigDict(frozen=True)

    identity: str
    schema_versions: str
    limit: int
    rows: dict[str, Rows]
    parked: list[FlowRecord]
    dead: list[FlowRecord]


class Checkpoint(BaseModel):
    """Times are UTC."""

    model_config = ConfigDict(frozen=True)

    format: Literal[2] = FORMAT
    taken_at: datetime
    full_at: datetime
    """When everything was counted last."""
    topic_prefix: str
    topic_ids: dict[str, str]
    start: dict[str, list[int]]
    """By topic: the offset of each partition from which records are read again."""
    appended: dict[str, list[int | None]]
    """By topic: when the last record before each `start` was appended; None where there is none."""
    writer_epochs: list[int]
    """Of each partition of case.events, below its `start`."""
    databases: dict[str, DatabaseState]
    relayed: dict[str, int]
    """By case, where some of its events were not below `start`: how many were."""
    unrelayed: list[NamedRecord]
    """Records that waited in an outbox."""
    unacknowledged: list[NamedRecord]
    """Records that an outbox held though they stood on their topic."""
    open_cases: list[str]
    """Cases that have a message to come."""
    asked_again: list[str]
    """Requests to send a message again that had no end yet."""
    message_files: int
    """Files of messages that were written before the mark."""

    @cached_property
    def starts(self) -> Mapping[Place, int]:
        """`start` by place."""
        return {
            (topic, partition): offset
            for topic, offsets in self.start.items()
            for partition, offset in enumerate(offsets)
        }

    @cached_property
    def open_records(self) -> frozenset[tuple[Place, int]]:
        """Records that some reader had parked or given up."""
        return frozenset(
            ((topic, partition), offset)
            for state in self.databases.values()
            for _, topic, partition, offset in (*state.parked, *state.dead)
        )

    def was_read(self, place: Place, offset: int) -> bool:
        """Whether every reader of that record had done with it."""
        return offset < self.starts[place] and (place, offset) not in self.open_records


def written_checkpoint(checkpoint: Checkpoint) -> bytes:
    """As a document with its checksum."""
    return checked_document(checkpoint.model_dump(mode="json"))


def read_checkpoint(document: bytes) -> Checkpoint:
    """Raises CheckpointUnusable."""
    try:
        content = checked_content(document)
    except DocumentDamaged as error:
        raise CheckpointUnusable(f"the checkpoint is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointUnusable("the checkpoint is of another build")
    try:
        checkpoint = Checkpoint.model_validate(content)
    except ValidationError as error:
        raise CheckpointUnusable("the checkpoint is of another build") from error
    if checkpoint.databases.keys() != READERS.keys():
        raise CheckpointUnusable("the checkpoint is of another build")
    return checkpoint
