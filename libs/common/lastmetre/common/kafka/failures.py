"""What an error says: that a record is bad, or that everything has to wait (fail closed)."""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, describe
from lastmetre.common.outbox.messages import MessageTooLarge
from lastmetre.common.postgres.errors import DATABASE_ERRORS, is_data_error

_OWN_CODE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RecursionError,
    TypeError,
    ValueError,
)
"""A mistake of ours that one record brings out: it stays when the record stands alone."""


class FencedError(Exception):
    """A stored position, or the writer epoch, is not as we left it: another process has gone on."""


class DatabaseWentBack(Exception):
    """The database has forgotten what it committed: restored, or another server. Begin anew."""


def is_record_at_fault(error: Exception) -> bool:
    """Whether a record that stands alone is proved bad by `error`. Anything else waits."""
    if isinstance(error, DATABASE_ERRORS):
        return is_data_error(error)
    return isinstance(error, (BadRecord, ValidationError, MessageTooLarge, *_OWN_CODE))


def reason_of(error: Exception) -> str:
    """What is wrong with a record, without the data itself."""
    if isinstance(error, BadRecord | MessageTooLarge):
        return str(error)
    if isinstance(error, ValidationError):
        return describe(error)
    return type(error).__name__


def halves(records: Sequence[ConsumedRecord]) -> list[Sequence[ConsumedRecord]]:
    """The records in two parts."""
    middle = len(records) // 2
    return [records[:middle], records[middle:]]
