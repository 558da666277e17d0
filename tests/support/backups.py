"""Backups of everything on one machine, as an operator makes them."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from lastmetre.cli.backup.base_backup import make_base_backup
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.postgres import binaries, unprivileged_user
from tests.support.commands import attempt

ARCHIVED: Final = "cp %p {0}/.%f && mv {0}/.%f {0}/%f"


@dataclass(frozen=True)
class Machine:
    """A server's folders, and the disk with the backups, which is not lost with it."""

    home: Path
    backups: Path
    identity: Path

    @property
    def postgresql(self) -> Path:
        return self.home / "data" / "postgres"

    @property
    def kafka(self) -> Path:
        return self.home / "data" / "kafka"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"


def new_machine(folder: Path) -> Machine:
    """Nothing on it yet; its PostgreSQL may archive its log."""
    made = Machine(folder / "server", folder / "backups", folder / "identity")
    archive = made.backups / "log"
    archive.mkdir(parents=True)
    if os.geteuid() == 0:
        user = unprivileged_user()
        os.chown(archive, user.pw_uid, user.pw_gid)
    return made


def superuser_url(stack: Stack) -> str:
    password = Keys.kept_in(stack.home.secrets).database_passwords[SUPERUSER]
    port = urlsplit(stack.endpoints.databases["intake"]).port
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{SUPERUSER}"


async def archive_log(stack: Stack, archive: Path) -> None:
    """From now on PostgreSQL's log goes to the other disk, too."""
    connection = await asyncpg.connect(superuser_url(stack))
    for setting in ("archive_mode = on", f"archive_command = '{ARCHIVED.format(archive)}'"):
        await connection.execute(f"ALTER SYSTEM SET {setting}")
    await connection.close()
    await asyncio.to_thread(stack.restart, "postgres")


async def said(stack: Stack | None, *words: str | Path, **environment: str) -> str:
    """What a command prints, which must do what it is told."""
    code, printed, complained = await attempt(stack, *words, **environment)
    assert code == 0, f"{words}: {printed}\n{complained}"
    return printed


class Backups:
    """Who backs up a machine and brings it back."""

    def __init__(self, machine: Machine, stack: Stack, recipient: str) -> None:
        self._machine = machine
        self._stack = stack
        self._recipient = recipient

    async def make(self) -> str:
        """Its name."""
        made = await said(
            self._stack, "backup", "make", "--to", self._machine.backups,
            "--kafka-data", self._machine.kafka, "--secrets", self._machine.secrets,
            "--recipient", self._recipient, "--pg-basebackup", binaries() / "pg_basebackup",
            POSTGRES_SUPERUSER_URL=superuser_url(self._stack),
        )  # fmt: skip
        return made.strip()

    async def make_in_steps(self) -> str:
        """As compose does it, with pg_basebackup in another container."""
        folder = self._machine.backups
        await said(self._stack, "backup", "begin", "--to", folder)
        make_base_backup(
            superuser_url(self._stack), folder / "begun" / "postgresql",
            str(binaries() / "pg_basebackup"),
        )  # fmt: skip
        made = await said(
            self._stack, "backup", "finish", "--to", folder, "--kafka-data", self._machine.kafka,
            "--without", "secrets", "--keep-days", "30",
        )  # fmt: skip
        return made.strip()

    async def restore(self, *words: str | Path) -> None:
        owner: tuple[str, ...] = ()
        if os.geteuid() == 0:
            owner = ("--postgresql-owner", str(unprivileged_user().pw_uid))
        await said(None, "restore", "--from", self._machine.backups, *words, *owner)


async def backups_of(machine: Machine, stack: Stack) -> Backups:
    """With a recipient's key, after PostgreSQL has begun to archive its log."""
    await archive_log(stack, machine.backups / "log")
    recipient = (await said(None, "backup", "key", machine.identity)).strip()
    return Backups(machine, stack, recipient)
