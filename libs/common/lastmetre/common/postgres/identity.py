"""Which server and which past of it a connection leads to.

A standby that was promoted, a backup that was restored: the database has forgotten what this
process believes to be committed. Then the process ends, and begins anew with catching up.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg
import structlog

from lastmetre.common.kafka.failures import DatabaseWentBack

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

# The timeline in force, not that of the last checkpoint, which lags behind a promotion. Raises on a
# server that is still a standby.
_QUERY: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
        left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
        (SELECT oid FROM pg_database WHERE datname = current_database())::bigint,
        to_regclass('position')::oid::bigint
"""


class ServerIdentity(NamedTuple):
    """What stays the same as long as nothing was forgotten. `positions` is a table's oid, None
    before the first migration."""

    system: int
    timeline: str
    database: int
    positions: int | None


async def identify(connection: "Connection") -> ServerIdentity:
    """Ask the server. Raises asyncpg.PostgresError on a standby."""
    row = await connection.fetchrow(_QUERY)
    assert row is not None
    return ServerIdentity(*row)


class IdentityCheck:
    """Compares every new connection with the first one.

    `gone_back` is called with the reason and is not expected to return: in production it ends the
    process at once, for another transaction on what was forgotten would make a second past.
    """

    def __init__(self, gone_back: Callable[[str], None]) -> None:
        self._gone_back = gone_back
        self._first: ServerIdentity | None = None

    async def __call__(self, connection: "Connection") -> None:
        """Raise DatabaseWentBack if this connection leads elsewhere than the first one did."""
        try:
            found = await identify(connection)
        except asyncpg.ObjectNotInPrerequisiteStateError as error:
            raise asyncpg.CannotConnectNowError("the server is a standby") from error
        if self._first is None or (
            self._first._replace(positions=found.positions) == found
            and (self._first.positions is None)
        ):
            self._first = found
        elif found != self._first:
            reason = f"the database was {self._first}, it is {found}"
            log.critical("the database has gone back", reason=reason)
            self._gone_back(reason)
            raise DatabaseWentBack(reason)
