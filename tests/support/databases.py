"""Databases of tests that have one of their own."""

import asyncio
import secrets
from urllib.parse import urlsplit

import asyncpg

from lastmetre.common.postgres.migrate import migrations_of
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.postgres import provide_database


def fresh_database(stack: Stack, service: str) -> str:
    """The address of a new, empty database that `service` owns."""
    passwords = Keys.kept_in(stack.home.secrets).database_passwords
    server = urlsplit(stack.endpoints.databases[service])
    name = f"{service}_{secrets.token_hex(4)}"

    def url(role: str, database: str) -> str:
        return f"postgresql://{role}:{passwords[role]}@{server.hostname}:{server.port}/{database}"

    async def provide() -> None:
        connection = await asyncpg.connect(url(SUPERUSER, "postgres"))
        try:
            await provide_database(connection, name, owner=service)
        finally:
            await connection.close()

    asyncio.run(provide())
    return url(service, name)


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
