"""Databases of tests that have one of their own."""

import asyncio
import secrets
from urllib.parse import urlsplit

import asyncpg

from cli.stack import Stack
from cli.stack.keys import SUPERUSER, Keys
from cli.stack.postgres import provide_database


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
