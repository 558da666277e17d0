"""Ways in which a database refuses, each a context: while in it, it does."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.faults.rig.postgres import Server
from tests.faults.rig.rig import Rig, Shape

Refusal = AbstractAsyncContextManager[None]
VOLUME_MEGABYTES: Final = 400


def _server(rig: Rig, service: str) -> Server:
    return rig.postgres[service].primary


@asynccontextmanager
async def _between(
    server: Server, database: str, begin: Sequence[str], end: Sequence[str]
) -> AsyncIterator[None]:
    """`begin`, and sessions that were there before end; at last `end`."""
    await server.run(*begin)
    await server.end_sessions(database)
    try:
        yield
    finally:
        await server.run(*end)


@asynccontextmanager
async def read_only(rig: Rig, service: str) -> AsyncIterator[None]:
    """Every session of the database may only read. Sessions that began so end at last, too."""
    server, change = _server(rig, service), f"ALTER DATABASE {service}"
    name = "default_transaction_read_only"
    async with _between(server, service, [f"{change} SET {name} = on"], [f"{change} RESET {name}"]):
        yield
    await server.end_sessions(service)


def other_password(rig: Rig, service: str) -> Refusal:
    """The password that the service knows is wrong."""
    server, change = _server(rig, service), f"ALTER ROLE {service} PASSWORD"
    return _between(
        server, service, [f"{change} 'rotated'"], [f"{change} '{server.password(service)}'"]
    )


def closed(rig: Rig, service: str) -> Refusal:
    """ALLOW_CONNECTIONS false."""
    change = f"ALTER DATABASE {service} ALLOW_CONNECTIONS"
    return _between(_server(rig, service), service, [f"{change} false"], [f"{change} true"])


@asynccontextmanager
async def not_in_hba(rig: Rig, service: str) -> AsyncIterator[None]:
    """pg_hba.conf rejects the role."""
    server = _server(rig, service)
    file = server.data / "pg_hba.conf"
    line = f"host all {service} all reject\n"
    file.write_text(line + file.read_text())
    try:
        async with _between(server, service, ["SELECT pg_reload_conf()"], []):
            yield
    finally:
        file.write_text(file.read_text().replace(line, ""))
        await server.run("SELECT pg_reload_conf()")


@asynccontextmanager
async def revoked(rig: Rig, service: str, table: str) -> AsyncIterator[None]:
    """The service may not write a table of its own."""
    server = _server(rig, service)
    privileges = "INSERT, UPDATE, DELETE"
    await server.run(f"REVOKE {privileges} ON {table} FROM {service}", database=service)
    try:
        yield
    finally:
        await server.run(f"GRANT {privileges} ON {table} TO {service}", database=service)


def connection_limit(rig: Rig, service: str) -> Refusal:
    """One connection for the role."""
    change = f"ALTER ROLE {service} CONNECTION LIMIT"
    return _between(_server(rig, service), service, [f"{change} 1"], [f"{change} -1"])


@asynccontextmanager
async def locked(rig: Rig, service: str, table: str) -> AsyncIterator[None]:
    """Nobody else reads or writes the table."""
    connection = await _server(rig, service).connect(service)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
            yield
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def raising(rig: Rig, service: str, table: str) -> AsyncIterator[None]:
    """No row of the table can be inserted or changed, by an error that nobody foresees."""
    server = _server(rig, service)
    await server.run(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'by the trial' USING ERRCODE = 'XX002'; END$$",
        f'CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON "{table}"'
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
        database=service,
    )
    try:
        yield
    finally:
        await server.run(f'DROP TRIGGER refuse ON "{table}"', database=service)


class SmallVolume:
    """A volume in memory that holds the databases, and can be filled. Needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.mkdir()
        size = f"size={VOLUME_MEGABYTES}m"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)],
            capture_output=True, check=False,
        )  # fmt: skip
        if mounted.returncode:
            pytest.skip(f"no volume can be mounted here: {mounted.stderr.decode().strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    @property
    def shape(self) -> Shape:
        """A rig whose databases lie on it."""
        return Shape(tablespace=lambda server: server.folder_of_its_own(self._folder / "data"))

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Not a byte is left, whatever becomes free meanwhile."""
        filler = self._folder / "filler"
        stop = asyncio.Event()
        filling = asyncio.create_task(_fill(filler, stop))
        try:
            yield
        finally:
            stop.set()
            await filling
            filler.unlink()


async def _fill(file: Path, stop: asyncio.Event) -> None:
    with file.open("ab", buffering=0) as output:
        while not stop.is_set():
            try:
                while True:
                    output.write(bytes(1 << 16))
            except OSError:
                await asyncio.sleep(0.05)
