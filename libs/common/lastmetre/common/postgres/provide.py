"""Roles and databases as the services need them: what is there stays, what is missing is made."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

AUDIT_ROLE: Final = "lastmetre_audit"


async def provide_role(connection: "Connection", role: str, password: str) -> bool:
    """Make the role, or give it that password; returns whether it was made."""
    known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    statement: str = await connection.fetchval(
        f"SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)",
        role,
        password,
    )
    await connection.execute(statement)
    return not known


async def provide_audit_role(connection: "Connection", password: str) -> None:
    """Make the role that reads everything and writes nothing."""
    await provide_role(connection, AUDIT_ROLE, password)
    await connection.execute(
        f"GRANT pg_read_all_data TO {AUDIT_ROLE};"
        f"ALTER ROLE {AUDIT_ROLE} SET default_transaction_read_only = on;"
        # Its snapshot stays open while it counts a whole topic.
        f"ALTER ROLE {AUDIT_ROLE} SET idle_in_transaction_session_timeout = '10min'"
    )


async def provide_database(connection: "Connection", name: str, owner: str) -> None:
    """Make a database, if there is none of that name, which only its owner and the audit enter.

    Both names are ours, of letters, digits and underscores; both roles exist.
    """
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        await connection.execute(f'CREATE DATABASE "{name}" OWNER {owner}')
    await connection.execute(
        f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC;'
        f'GRANT CONNECT ON DATABASE "{name}" TO {owner}, {AUDIT_ROLE}'
    )
