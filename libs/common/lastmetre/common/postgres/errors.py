"""Which errors of a database wait, and which prove that a record is bad (fail closed)."""

from typing import Final

import asyncpg

DATABASE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)
"""All that a database, or the way to it, can raise. Whoever catches these tries again later: they
are never a reason to go past a record, to end the process, or to answer that something was done."""


def is_data_error(error: BaseException) -> bool:
    """Whether PostgreSQL refused a value: SQLSTATE class 22 (data) or 23 (a constraint).

    It stays so however often it is tried, for the record at fault stands alone by then.
    """
    return isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)
