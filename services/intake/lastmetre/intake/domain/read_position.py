"""How far the channels have been read."""

from typing import NamedTuple
from uuid import UUID


class ReadPosition(NamedTuple):
    """The next offset of a partition, and in which topic that is (None: not known)."""

    topic: str
    partition: int
    next_offset: int
    topic_id: UUID | None
