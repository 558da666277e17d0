"""PostgreSQL servers of a rig: a primary for all or some services, with or without a standby."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from lastmetre.common.postgres.provide import AUDIT_ROLE, provide_database
from lastmetre.devstack.home import LOCAL, Home
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.postgres import (
    binaries,
    unprivileged_prefix,
    unprivileged_user,
)
from lastmetre.devstack.programs import guarded
from lastmetre.devstack.waiting import run_tool, wait_until
from tests.faults.rig.processes import Process, children

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
NOT_YET: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Server:
    """One PostgreSQL server in a data folder of its own."""

    def __init__(self, name: str, home: Home, ports: Ports, keys: Keys) -> None:
        self.name = name
        self.port = ports.get(name)
        self.data = home.data / name
        self._home = home
        self._keys = keys
        self._binaries = binaries()
        self._prefix = unprivileged_prefix(self._binaries / "postgres", home.data)
        self._process: Process | None = None

    @property
    def started(self) -> bool:
        """Whether there is anything to stop."""
        return self._process is not None

    @property
    def process(self) -> Process:
        """The postmaster."""
        assert self._process is not None
        return self._process

    def url(self, role: str, database: str) -> str:
        """Where `role` finds `database` on this server alone."""
        return f"postgresql://{role}:{self.password(role)}@{HOST}:{self.port}/{database}"

    def password(self, role: str) -> str:
        """The password that the services know."""
        return self._keys.database_passwords[role]

    async def connect(self, database: str = "postgres") -> "Connection":
        """As the superuser."""
        return await asyncpg.connect(self.url(SUPERUSER, database), timeout=20)

    async def run(self, *statements: str, database: str = "postgres") -> None:
        """Each in a transaction of its own."""
        connection = await self.connect(database)
        try:
            for each in statements:
                await connection.execute(each)
        finally:
            await connection.close(timeout=10)

    async def value(self, query: str, *values: Any, database: str = "postgres") -> Any:
        """One value."""
        connection = await self.connect(database)
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close(timeout=10)

    # --- the server's life -----------------------------------------------------------------

    def initialise(self) -> None:
        """Make an empty data folder."""
        password = self._home.run / f"{self.name}-password"
        password.write_text(self.password(SUPERUSER), "utf-8")
        self._own(self._folder(), password)
        access = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        self.tool("initdb", "-D", str(self.data), "-U", SUPERUSER, *access)

    def _folder(self) -> Path:
        self.data.mkdir(mode=0o700)
        return self.data

    def _own(self, *paths: Path) -> None:
        if self._prefix:
            user = unprivileged_user()
            for path in paths:
                os.chown(path, user.pw_uid, user.pw_gid)

    def folder_of_its_own(self, path: Path) -> Path:
        """A folder that the server may write into."""
        path.mkdir(mode=0o700, exist_ok=True)
        self._own(path)
        return path

    def tool(self, name: str, *arguments: str, **environment: str) -> None:
        """Run one of PostgreSQL's own programs to its end. Raises StackError."""
        variables = [f"{key}={value}" for key, value in environment.items()]
        command = [*self._prefix, "env", *variables, str(self._binaries / name), *arguments]
        run_tool(command, self._home.logs / f"{self.name}-{name}.log", Event())

    def start(self, *settings: str) -> None:
        """Start it, and return once it answers (a standby, too)."""
        own = ["-D", str(self.data), "-c", f"config_file={LOCAL / 'postgresql.conf'}"]
        own += ["-c", f"port={self.port}", "-c", "shared_buffers=128MB"]
        for each in settings:
            own += ["-c", each]
        # As in devstack: the guard comes after the change of the user.
        command = guarded([str(self._binaries / "postgres"), *own], "SIGQUIT")
        log = self._home.logs / f"{self.name}.log"
        self._process = Process(self.name, [*self._prefix, *command], log)
        self._process.start()
        if not wait_until(self.answers, self._check, START_SECONDS, Event()):
            raise TimeoutError(f"{self.name} does not answer: {log.read_text()[-2000:]}")

    def _check(self) -> None:
        if not self.process.pid:
            raise RuntimeError(f"{self.name} ended: {self.process.log.read_text()[-2000:]}")

    def answers(self) -> bool:
        """Whether the superuser gets in now."""
        return asyncio.run(self._answers())

    async def _answers(self) -> bool:
        try:
            await (await self.connect()).close(timeout=5)
        except NOT_YET:
            return False
        return True

    def stop(self, mode: str = "fast") -> None:
        """`pg_ctl stop -m`: "fast", or "immediate", which is a crash that the server knows of."""
        self.process.end(signal.SIGQUIT if mode == "immediate" else signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the server and of all its processes."""
        family = children(self.process.pid, "postgres")
        self.process.kill()
        for each in family:
            each.kill()
        self.process.end(signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    # --- copies ----------------------------------------------------------------------------

    def base_backup(self, folder: Path, *options: str) -> None:
        """A copy of the whole server, as of the moment when this ends."""
        self.folder_of_its_own(folder)
        self.tool(
            "pg_basebackup", "-D", str(folder), "-c", "fast", *options,
            "-d", self.url(SUPERUSER, "postgres"),
        )  # fmt: skip

    def restore_base_backup(self, folder: Path) -> None:
        """Be, from the next start on, what `folder` holds: a new timeline begins at its end."""
        shutil.rmtree(self.data)
        folder.rename(self.data)
        mark = self.data / "recovery.signal"
        mark.touch()
        self._own(mark)

    def restart_from_base_backup(self, folder: Path) -> None:
        """Stop, restore all databases to the backup's instant, start."""
        self.stop("immediate")
        self.restore_base_backup(folder)
        self.start("restore_command=false", "recovery_target=immediate",
                   "recovery_target_action=promote")  # fmt: skip
        wait_until(lambda: not self.in_recovery(), self._check, START_SECONDS, Event())

    def in_recovery(self) -> bool:
        """Whether it is a standby still."""
        return bool(asyncio.run(self.value("SELECT pg_is_in_recovery()")))

    def dump(self, database: str, file: Path) -> None:
        """`pg_dump` of one database while it is at work."""
        self._own(self.folder_of_its_own(file.parent))
        self.tool("pg_dump", "-Fc", "-f", str(file), "-d", self.url(SUPERUSER, database))

    def restore_dump(self, database: str, file: Path) -> None:
        """Put a dump in the place of a database: into a new one first, then the names change."""
        fresh = f"{database}_restored"
        asyncio.run(self.run(f'CREATE DATABASE "{fresh}" OWNER {database}'))
        self.tool("pg_restore", "-d", self.url(SUPERUSER, fresh), str(file))
        asyncio.run(self._swap(database, fresh))

    async def _swap(self, database: str, fresh: str) -> None:
        await self.run(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        await self.end_sessions(database)
        await self.run(
            f'ALTER DATABASE "{database}" RENAME TO "{database}_{time.monotonic_ns()}"',
            f'ALTER DATABASE "{fresh}" RENAME TO "{database}"',
        )

    async def end_sessions(self, *databases: str) -> None:
        """End every session but the superuser's, and wait until they are gone."""
        await self.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname IN ({_words(databases)}) AND usename <> '{SUPERUSER}'"
        )


def _words(names: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in names)


class Postgres:
    """The servers of a rig: one for all services, and one for the service that is `apart`, with a
    streaming standby that follows it."""

    def __init__(
        self, home: Home, ports: Ports, keys: Keys, services: Sequence[str], name: str = "postgres"
    ) -> None:
        self.services = tuple(services)
        self.primary = Server(name, home, ports, keys)
        self.standby = Server(f"{name}-standby", home, ports, keys)
        self._has_standby = False
        self._keys = keys

    def start(self, tablespace: Callable[[Server], Path] | None = None) -> None:
        """An empty database and a role for each service; in `tablespace` if one is given."""
        self.primary.initialise()
        self.primary.start()
        where = ""
        if tablespace:
            folder = tablespace(self.primary)
            asyncio.run(self.primary.run(f"CREATE TABLESPACE small LOCATION '{folder}'"))
            where = "small"
        asyncio.run(self._provide(where))

    async def _provide(self, tablespace: str) -> None:
        connection = await self.primary.connect()
        try:
            for role in (AUDIT_ROLE, *self.services):
                password = self._keys.database_passwords[role]
                await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
            await connection.execute(f"GRANT pg_read_all_data TO {AUDIT_ROLE}")
            for service in self.services:
                await provide_database(connection, service, owner=service)
                if tablespace:
                    await connection.execute(f"ALTER DATABASE {service} SET TABLESPACE small")
        finally:
            await connection.close(timeout=10)

    def start_standby(self) -> None:
        """A standby that streams from the primary."""
        self.primary.base_backup(self.standby.data, "-R")
        self.standby.start()
        self._has_standby = True

    def url(self, role: str, database: str) -> str:
        """Where a service finds its database: a list of hosts if there is a standby."""
        password = self._keys.database_passwords[role]
        hosts = f"{HOST}:{self.primary.port}"
        if not self._has_standby:
            return f"postgresql://{role}:{password}@{hosts}/{database}"
        hosts += f",{HOST}:{self.standby.port}"
        return f"postgresql://{role}:{password}@{hosts}/{database}?target_session_attrs=primary"

    async def fail_over(self, behind_seconds: float) -> None:
        """Kill the primary while its standby is so far behind, and promote that."""
        senders = children(self.primary.process.pid, "walsender")
        assert senders, "no standby follows"
        for each in senders:
            each.suspend()
        await asyncio.sleep(behind_seconds)
        await asyncio.to_thread(self.primary.kill)
        await self.standby.run("SELECT pg_promote(true, 30)")

    def stop(self) -> None:
        """Stop every server. Never fails."""
        for server in (self.standby, self.primary):
            if server.started and server.process.pid:
                server.stop("immediate")
