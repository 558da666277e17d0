"""Databases of tests that have one of their own."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from lastmetre.common.postgres.migrate import migrations_of
from lastmetre.common.postgres.provide import provide_database
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys


def fresh_database(stack: Stack, service: str) -> str:
    """The address of a new, empty database that `service` owns."""
    name = f"{service}_{secrets.token_hex(4)}"

    async def provide() -> None:
        async with _superuser(stack, service) as connection:
            await provide_database(connection, name, owner=service)

    asyncio.run(provide())
    return _url(stack, service, service, name)


async def copied_database(stack: Stack, service: str, url: str) -> str:
    """The address of a copy of the database at `url` as it is now; nobody may be connected to it.

    To go on with it later is what a restored backup is.
    """
    source, name = urlsplit(url).path[1:], f"{service}_{secrets.token_hex(4)}"
    async with _superuser(stack, service) as connection:
        await connection.execute(f'CREATE DATABASE "{name}" OWNER {service} TEMPLATE "{source}"')
    return _url(stack, service, service, name)


@asynccontextmanager
async def _superuser(
    stack: Stack, service: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(_url(stack, service, SUPERUSER, "postgres"))
    try:
        yield connection
    finally:
        await connection.close()


def _url(stack: Stack, service: str, role: str, database: str) -> str:
    passwords = Keys.kept_in(stack.home.secrets).database_passwords
    server = urlsplit(stack.endpoints.databases[service])
    return f"postgresql://{role}:{passwords[role]}@{server.hostname}:{server.port}/{database}"


async def migrate_in_part(
    connection: "asyncpg.Connection[asyncpg.Record]", package: str, count: int
) -> None:
    """Apply the first so many migrations of `package`: a database of that time."""
    await connection.execute(
        "CREATE TABLE migration (package text, version int,"
        " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (package, version))"
    )
    for migration in migrations_of(package)[:count]:
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO migration VALUES ($1, $2)", package, migration.version
        )
