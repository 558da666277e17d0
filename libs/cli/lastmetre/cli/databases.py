"""`lastmetre databases`: the services' roles and databases on a PostgreSQL of their own."""

import asyncio
import re
from typing import Annotated, Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import asyncpg
import typer

from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.provide import (
    AUDIT_ROLE,
    provide_audit_role,
    provide_database,
    provide_role,
)

app = typer.Typer(name="databases", no_args_is_help=True)
SUPERUSER: Final = "POSTGRES_SUPERUSER_URL"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Login(NamedTuple):
    """What the URL of a database names."""

    role: str
    password: str
    database: str

    @classmethod
    def of(cls, url: str, name: str) -> Self:
        """Raises UsedWrongly, which does not repeat the URL: there is a password in it."""
        parts = urlsplit(url)
        role, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
        if not _NAME.fullmatch(role) or not _NAME.fullmatch(database) or not parts.password:
            raise UsedWrongly(f"{name} names no role, password and database.")
        return cls(role, unquote(parts.password), database)


@app.callback()
def databases() -> None:
    """The databases of the services."""


@app.command()
def provide(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name them, make nothing.")] = False,
) -> None:
    """Make the roles and databases that INTAKE_DATABASE_URL and so on name, if they are missing.

    POSTGRES_SUPERUSER_URL is whom this connects as. Roles get the passwords of their URLs, so that
    a new password is brought in by the same command. INTAKE_AUDIT_DATABASE_URL names the role that
    only reads. Tables are made by the services, or by `lastmetre migrate`.

    Example:

        lastmetre databases provide
    """
    found = installation()
    superuser = found.need("How PostgreSQL is reached as its superuser", SUPERUSER)
    logins = {
        service: Login.of(found.database(service), f"{service.upper()}_DATABASE_URL")
        for service in SERVICES
    }
    name = "INTAKE_AUDIT_DATABASE_URL"
    audit = Login.of(found.need("The audit's database", name), name)
    if audit.role != AUDIT_ROLE:
        raise UsedWrongly(f"{name} has to be of the role {AUDIT_ROLE}.")
    for login in logins.values():
        STDOUT.print(f"database {login.database} of {login.role}", markup=False)
    if dry_run:
        return
    try:
        asyncio.run(_provide(superuser, list(logins.values()), audit))
    except DATABASE_ERRORS as error:
        # Without the message: it may hold a password.
        raise Trouble(
            f"PostgreSQL: {type(error).__name__}.", "is it up, and is it ours?"
        ) from error


async def _provide(superuser: str, logins: list[Login], audit: Login) -> None:
    connection = await asyncpg.connect(superuser, timeout=10)
    try:
        await provide_audit_role(connection, audit.password)
        for login in logins:
            await provide_role(connection, login.role, login.password)
            await provide_database(connection, login.database, owner=login.role)
    finally:
        await connection.close(timeout=10)
