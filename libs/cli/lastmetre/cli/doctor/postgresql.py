"""Check `postgresql`: each service's database, how it keeps what it acknowledges, its tables."""

from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.migrate import CORE
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.migrate import MigrationRefused, pending

ANSWER_SECONDS: Final = 5.0
TRIED_VERSION: Final = 180_000
CONNECTIONS_A_PROCESS: Final = 18
"""Requests 10; consumers, relay, sender, locks and measuring the rest."""
_SETTINGS: Final = (
    "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])",
    [
        "server_version_num",
        "server_version",
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "max_connections",
    ],
)


async def look_at_postgresql(installation: Installation, said: Findings) -> None:
    """As each service, and as the role that only reads, where that is known."""
    development = installation.is_development()
    for service in SERVICES:
        own = f"{service.upper()}_DATABASE_URL"
        audit = f"{service.upper()}_AUDIT_DATABASE_URL"
        if not installation.find(own, audit):
            said.unknown(
                "database-not-known",
                service,
                "its database is not known",
                f"set {own} in the environment or in a profile",
            )
        if url := installation.find(own):
            await _own(service, url, said, development=development)
        if (url := installation.find(audit)) and url != installation.find(own):
            await _audit(service, url, said)


async def _own(service: str, url: str, said: Findings, *, development: bool) -> None:
    connection = await _connected(service, url, said)
    if connection is None:
        return
    try:
        settings = dict(await connection.fetch(*_SETTINGS, timeout=ANSWER_SECONDS))
        standby = await connection.fetchval("SELECT pg_is_in_recovery()")
        read_only = await connection.fetchval("SHOW default_transaction_read_only") == "on"
        encrypted = await connection.fetchval(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
    except DATABASE_ERRORS as error:
        _away(service, url, error, said)
        return
    finally:
        await connection.close(timeout=ANSWER_SECONDS)
    said.fine(service, f"PostgreSQL {settings['server_version']}, {size / 1e6:,.0f} MB")
    _version(service, settings, said)
    _keeps(service, settings, said)
    if standby or read_only:
        said.wrong(
            "database-read-only",
            service,
            "is a standby" if standby else "takes nothing (default_transaction_read_only)",
            "the service waits, and loses nothing meanwhile",
            "target_session_attrs=read-write in the URL, or put the setting right",
        )
    remote = urlsplit(url).hostname not in (None, "localhost", "127.0.0.1", "::1")
    if remote and not encrypted and not development:
        said.warn(
            "database-in-the-clear",
            service,
            "the connection is not encrypted",
            "whoever reads the network reads what the service does, its password's proof included",
            "sslmode=verify-full and sslrootcert in the URL",
        )
    await _tables(service, url, said)


async def _connected(service: str, url: str, said: Findings) -> Any | None:
    try:
        return await asyncpg.connect(
            url, timeout=ANSWER_SECONDS, server_settings={"application_name": "lastmetre-doctor"}
        )
    except (*DATABASE_ERRORS, ValueError) as error:
        _away(service, url, error, said)
        return None


def _away(service: str, url: str, error: Exception, said: Findings) -> None:
    """Without the error's words: they may hold a password."""
    try:
        place = f"{urlsplit(url).hostname or 'socket'}{urlsplit(url).path}"
    except ValueError:
        place = "an address that is none"
    kind = type(error).__name__
    code, way_out = "database-away", "is it running; are host and port right; is there a firewall?"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        code = "database-refuses-us"
        way_out = (
            "`lastmetre databases provide` gives roles the passwords of their URLs; see pg_hba.conf"
        )
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        code, way_out = "database-missing", "`lastmetre databases provide` makes it"
    elif isinstance(error, asyncpg.TooManyConnectionsError):
        code, way_out = "database-full", "raise max_connections, or run fewer processes"
    said.wrong(code, service, f"{place}: {kind}", f"{service} waits, and loses nothing", way_out)


def _version(service: str, settings: dict[str, str], said: Findings) -> None:
    if int(settings["server_version_num"]) < TRIED_VERSION:
        said.warn(
            "database-untried",
            service,
            f"PostgreSQL {settings['server_version']}",
            "Lastmetre was tried on PostgreSQL 18 alone",
            "upgrade PostgreSQL",
        )


def _keeps(service: str, settings: dict[str, str], said: Findings) -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if settings[name] == "off":
            said.wrong(
                "database-forgets",
                service,
                f"{name} is off",
                "a power failure loses what was committed, or the whole database",
                f"{name} = on",
            )
    needed = CONNECTIONS_A_PROCESS * len(SERVICES)
    if int(settings["max_connections"]) < needed:
        said.warn(
            "database-few-connections",
            service,
            f"max_connections is {settings['max_connections']}",
            f"one process of each service uses up to {needed} in all",
            f"at least {needed}",
        )


async def _audit(service: str, url: str, said: Findings) -> None:
    name = f"{service}, for the audit"
    connection = await _connected(name, url, said)
    if connection is None:
        return
    try:
        may_write = await connection.fetchval(
            "SELECT bool_or(has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"
            " FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
            timeout=ANSWER_SECONDS,
        )
    except DATABASE_ERRORS as error:
        _away(name, url, error, said)
        return
    finally:
        await connection.close(timeout=ANSWER_SECONDS)
    if may_write:
        said.warn(
            "audit-may-write",
            name,
            "its role may write",
            "who counts should not be able to change",
            "`lastmetre databases provide` makes the role lastmetre_audit, which only reads",
        )
    else:
        said.fine(name, "reads, and writes nothing")


async def _tables(service: str, url: str, said: Findings) -> None:
    if find_spec(f"lastmetre.{service}") is None:
        said.unknown(
            "tables-not-known",
            f"tables of {service}",
            "its package is not installed here",
            "use the services' image",
        )
        return
    try:
        waiting = [each for each in await pending(url, (CORE, service)) if not each.contracts]
    except MigrationRefused as error:
        said.wrong(
            "tables-of-another-build",
            f"tables of {service}",
            str(error),
            "this build does not start on them",
            "use the build that they are of, or a later one",
        )
        return
    except DATABASE_ERRORS as error:
        said.unknown("database-away", f"tables of {service}", type(error).__name__, "run it again")
        return
    if waiting:
        said.warn(
            "tables-behind",
            f"tables of {service}",
            f"{len(waiting)} migrations are not applied",
            "as it is before the first start or an upgrade",
            "start the service, or `lastmetre migrate`",
        )
    else:
        said.fine(f"tables of {service}", "as this build needs them")
