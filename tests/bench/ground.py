"""What floor and platform stand on alike: one broker, one database server, fresh topics and
databases for each run."""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.common.contracts.topics import SERVICES, TOPICS
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys

_PACE_ROUNDS: Final = 50_000
_SETTINGS: Final = (
    "server_version",
    "shared_buffers",
    "synchronous_commit",
    "fsync",
    "full_page_writes",
    "wal_compression",
    "max_wal_size",
    "jit",
)


@dataclass(frozen=True)
class Plot:
    """One run's own topics and databases."""

    prefix: str
    databases: Mapping[str, str]
    """The URL of each service's database."""

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process to use them."""
        return {
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            **{f"{name.upper()}_DATABASE_URL": url for name, url in self.databases.items()},
        }


class Ground:
    """A stack of broker and database alone."""

    def __init__(self, home: Path) -> None:
        # What points at other clusters would be measured there, and by nobody's CPU time.
        for name in ("KAFKA_BOOTSTRAP_SERVERS", *(f"{s.upper()}_DATABASE_URL" for s in SERVICES)):
            os.environ.pop(name, None)
        self.stack = Stack(home, services=False)
        self._plots = 0

    @property
    def bootstrap(self) -> str:
        """Where the broker is."""
        return self.stack.endpoints.bootstrap_servers

    @property
    def parts(self) -> dict[str, int]:
        """Process ids of broker and database server."""
        return {"broker": self.stack.pid("kafka"), "database": self.stack.pid("postgres")}

    def _database(self, role: str, password: str, name: str) -> str:
        server = urlsplit(self.stack.endpoints.databases[SERVICES[0]])
        place = f"{role}:{password}@{server.hostname}:{server.port}"
        return urlunsplit((server.scheme, place, f"/{name}", "", ""))

    async def _administrator(self) -> "asyncpg.Connection[asyncpg.Record]":
        passwords = Keys.kept_in(self.stack.home.secrets).database_passwords
        return await asyncpg.connect(
            self._database(SUPERUSER, passwords[SUPERUSER], "postgres"), timeout=10
        )

    async def lay_out(self, name: str) -> Plot:
        """Make topics under a prefix and databases that nobody has used."""
        self._plots += 1
        label = f"{name}{self._plots}"
        passwords = Keys.kept_in(self.stack.home.secrets).database_passwords
        connection = await self._administrator()
        for service in SERVICES:
            await connection.execute(f'CREATE DATABASE "{label}_{service}" OWNER {service}')
        await connection.close()
        await apply_topics(self.bootstrap, f"{label}.", development=True)
        return Plot(
            f"{label}.",
            {s: self._database(s, passwords[s], f"{label}_{s}") for s in SERVICES},
        )

    async def clear(self, plot: Plot) -> None:
        """Drop them again: the next run begins with as much room as this one did."""
        connection = await self._administrator()
        for url in plot.databases.values():
            name = urlsplit(url).path[1:]
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([plot.prefix + topic.name for topic in TOPICS])
        finally:
            await admin.close()

    async def settings(self) -> dict[str, object]:
        """What the figures depend on, as it is set."""
        connection = await self._administrator()
        database = {name: await connection.fetchval(f"SHOW {name}") for name in _SETTINGS}
        await connection.close()
        broker = psutil.Process(self.stack.pid("kafka")).cmdline()
        return {"database": database, "broker": {"replicas": 1, "command": broker[0]}}


def pace() -> float:
    """Microseconds that this process takes to read one small JSON document, now.

    A virtual processor's speed may halve when others share its core; no share of busy time shows
    that. Figures are alike only if their paces are.
    """
    document = '{"id": "26-0418", "at": "2018-01-01T00:00:00Z", "name": {"zh": "片长"}, "seq": 1}'
    began = time.process_time()
    for _ in range(_PACE_ROUNDS):
        json.loads(document)
    return (time.process_time() - began) * 1e6 / _PACE_ROUNDS


def machine() -> dict[str, object]:
    """What all this runs on, and how busy it was before."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processors": os.cpu_count(),
        "model": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "busy_before": round(psutil.cpu_percent(interval=1.0) / 100, 3),
    }
