"""What a stack looks like from outside: asked of it, or of what is left of it."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from lastmetre.cli.probes import broker_answers, readiness
from lastmetre.cli.profile import Broker, Installation
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.kafka.topic_reader import Place, TopicsUnreadable, open_topics

PROCESSES: Final = "lastmetre.processes"
"""Entry points: functions that tell of the processes of a stack, given its folder."""
ANSWER_SECONDS: Final = 5.0
_STOPPED: Final = ("STOPPED", "EXITED")
_COUNTS: Final = {
    "outbox": "SELECT coalesce(sum(records), 0)::bigint FROM outbox",
    "parked": "SELECT count(*) FROM parked",
    "dead_letters": "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL",
}


@dataclass(frozen=True)
class _Targets:
    """What is asked, as far as its address is known."""

    broker: Broker | None
    databases: Mapping[str, str]


@dataclass
class Process:
    """One process. `missing` says why it is not ready."""

    name: str
    address: str
    ready: bool
    missing: list[str] = field(default_factory=list)
    pid: int | None = None
    """Known only on the machine that runs it."""
    up_seconds: int | None = None


@dataclass(frozen=True)
class Backup:
    """A backup that was verified and confirmed to intake."""

    name: str
    begun_at: datetime


@dataclass
class Service:
    """A service: its processes, and what its database says. None: the database does not tell."""

    name: str
    processes: list[Process]
    database: str = "ok"
    lag: dict[str, int | None] = field(default_factory=dict)
    """Records behind the ends of its topics, by flow."""
    outbox: int | None = None
    parked: int | None = None
    dead_letters: int | None = None

    @property
    def ready(self) -> bool:
        """Whether its database answers and all its processes say that they are ready."""
        return self.database == "ok" and bool(self.processes) and all(
            each.ready for each in self.processes
        )  # fmt: skip


@dataclass
class Status:
    """Everything that `lastmetre status` tells."""

    home: str
    broker: Process
    database: Process
    services: list[Service]
    last_backup: Backup | None = None
    """The youngest that intake knows of."""

    @property
    def ready(self) -> bool:
        """Whether every part is."""
        return self.broker.ready and all(each.ready for each in self.services)

    @property
    def processes(self) -> list[Process]:
        """All there are, and a place for those that a service lacks."""
        found = [self.broker, self.database]
        for each in self.services:
            none = Process(
                each.name, "", ready=False, missing=[_not_known(f"{each.name.upper()}_ADMIN_URL")]
            )
            found += each.processes or [none]
        return found

    @property
    def silent(self) -> bool:
        """Nothing answers at all: it was stopped, or never started."""
        answers = [each.database == "ok" for each in self.services]
        answers += [each.ready or bool(each.pid) for each in self.processes]
        return not any(answers)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        services = [{"ready": each.ready, **asdict(each)} for each in self.services]
        return {"ready": self.ready, **asdict(self), "services": services}


def look(installation: Installation) -> Status:
    """Ask everything once; nothing is waited for longer than some seconds."""
    home = installation.stack_home
    running = _running(home) if home else {}
    targets = _targets(installation)
    answers = targets.broker is not None and broker_answers(targets.broker.access)
    broker = Process(
        "kafka",
        str(targets.broker.access) if targets.broker else "",
        answers,
        []
        if answers
        else ["no answer" if targets.broker else _not_known("KAFKA_BOOTSTRAP_SERVERS")],
    )
    _note(broker, running.get("kafka"))
    services = [Service(name, _processes(name, installation, running)) for name in SERVICES]
    asyncio.run(_ask_databases(services, targets, broker_answers=answers))
    database = _database(services, targets)
    _note(database, running.get("postgres"))
    intake = targets.databases.get("intake")
    last = asyncio.run(_last_backup(intake)) if intake and database.ready else None
    return Status(str(installation.home), broker, database, services, last)


async def _last_backup(url: str) -> Backup | None:
    """None, too, where intake has not this build's tables yet."""
    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_SECONDS)
        try:
            row = await connection.fetchrow(
                "SELECT name, begun_at FROM confirmed_backup", timeout=ANSWER_SECONDS
            )
        finally:
            await connection.close(timeout=ANSWER_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    return Backup(*row) if row else None


def _database(services: list[Service], targets: _Targets) -> Process:
    """The database server, or servers, as one: ready if every service's database answers."""
    places = [urlsplit(url) for url in targets.databases.values()]
    hosts = dict.fromkeys(f"{each.hostname or 'socket'}:{each.port or 5432}" for each in places)
    missing = [f"{each.name}: {each.database}" for each in services if each.database != "ok"]
    if len(missing) == len(SERVICES):
        missing = sorted({each.database for each in services})
    return Process("postgres", ", ".join(hosts), not missing, missing)


def _targets(installation: Installation) -> _Targets:
    known = installation.find("KAFKA_BOOTSTRAP_SERVERS")
    return _Targets(installation.broker() if known else None, installation.known_databases())


def _not_known(name: str) -> str:
    return f"address not known: {name} is not set"


def _running(home: Path) -> dict[str, dict[str, Any]]:
    """What a development stack there knows of its processes; nothing without one."""
    found: dict[str, dict[str, Any]] = {}
    for each in entry_points(group=PROCESSES):
        found |= each.load()(home)
    return found


def _note(process: Process, info: Mapping[str, Any] | None) -> None:
    if info and info["pid"]:
        process.pid = info["pid"]
        process.up_seconds = int(time.time()) - info["start"]
    elif info and info["statename"] not in _STOPPED:
        process.missing.append(f"supervisord says {info['statename']}")


def _processes(
    service: str, installation: Installation, running: Mapping[str, dict[str, Any]]
) -> list[Process]:
    found = []
    public = installation.known_urls(service)
    for number, admin_url in enumerate(installation.known_admin_urls(service)):
        name = f"{service}-{number}"
        url = public[number] if number < len(public) else admin_url
        status, body = readiness(admin_url)
        missing = [] if status == 200 else _missing(body)
        process = Process(name, url, status == 200, missing)
        _note(process, running.get(name))
        found.append(process)
    return found


def _missing(body: str) -> list[str]:
    """What /readyz names, or what came instead."""
    try:
        return [str(each) for each in json.loads(body)["missing"]]
    except (ValueError, KeyError, TypeError):
        return [body]


async def _ask_databases(
    services: list[Service], targets: _Targets, *, broker_answers: bool
) -> None:
    ends = await _ends(targets) if broker_answers else None
    await asyncio.gather(*(_ask(each, targets, ends) for each in services))


async def _ends(targets: _Targets) -> dict[Place, tuple[int, int]] | None:
    """The first offset that is kept and the next one, by partition; None without topics."""
    assert targets.broker is not None
    wanted = {topic for readers in READERS.values() for topic in readers}
    try:
        async with open_topics(*targets.broker, client_id="lastmetre-status") as topics:
            places = await topics.places(wanted)
            first, after = await topics.beginnings(places), await topics.ends(places)
    except TopicsUnreadable:
        return None
    return {place: (first[place], after[place]) for place in places}


async def _ask(
    service: Service, targets: _Targets, ends: Mapping[Place, tuple[int, int]] | None
) -> None:
    service.lag = dict.fromkeys(READERS[service.name].values())
    url = targets.databases.get(service.name)
    if url is None:
        service.database = _not_known(f"{service.name.upper()}_DATABASE_URL")
        return
    try:
        connection = await asyncpg.connect(
            url, timeout=ANSWER_SECONDS, server_settings={"application_name": "lastmetre-status"}
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        service.database = f"no answer ({type(error).__name__})"
        return
    try:
        for name, statement in _COUNTS.items():
            setattr(service, name, await connection.fetchval(statement, timeout=ANSWER_SECONDS))
        rows = await connection.fetch("SELECT flow, topic, partition, next_offset FROM position")
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        service.database = f"{type(error).__name__}: {error}"
        return
    finally:
        await connection.close(timeout=ANSWER_SECONDS)
    if ends is not None:
        stored = {(row[0], (row[1], row[2])): row[3] for row in rows}
        service.lag = _lag(service.name, stored, ends)


def _lag(
    service: str,
    stored: Mapping[tuple[str, Place], int],
    ends: Mapping[Place, tuple[int, int]],
) -> dict[str, int | None]:
    behind: dict[str, int | None] = {}
    for topic, flow in READERS[service].items():
        here = sum(
            max(end - max(stored.get((flow, place), 0), first), 0)
            for place, (first, end) in ends.items()
            if place[0] == topic
        )
        behind[flow] = (behind.get(flow) or 0) + here
    return behind
