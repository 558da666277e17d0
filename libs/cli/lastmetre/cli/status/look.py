"""What a stack looks like from outside: asked of it, or of what is left of it."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from lastmetre.audit.consistent_cut import READERS, Targets
from lastmetre.audit.snapshot import connect
from lastmetre.audit.topics import AuditImpossible, Place, open_topics
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import kafka
from lastmetre.devstack.endpoints import Endpoints
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import Home
from lastmetre.devstack.programs import Supervisor
from lastmetre.devstack.services import readiness

ANSWER_SECONDS: Final = 5.0
_STOPPED: Final = ("STOPPED", "EXITED")
_COUNTS: Final = {
    "outbox": "SELECT coalesce(sum(records), 0)::bigint FROM outbox",
    "parked": "SELECT count(*) FROM parked",
    "dead_letters": "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL",
}


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

    @property
    def ready(self) -> bool:
        """Whether every part is."""
        return self.broker.ready and all(each.ready for each in self.services)

    @property
    def processes(self) -> list[Process]:
        """All there are, and a place for those that a service lacks."""
        found = [self.broker, self.database]
        for each in self.services:
            none = Process(each.name, "", ready=False, missing=["no process"])
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


def look(home: Home, targets: Targets, endpoints: Endpoints | None) -> Status:
    """Ask everything once; nothing is waited for longer than some seconds.

    `endpoints` is None where only addresses of a cluster elsewhere are given.
    """
    running = _running(home)
    answers = kafka.answers(targets.bootstrap)
    broker = Process("kafka", targets.bootstrap, answers, [] if answers else ["no answer"])
    _note(broker, running.get("kafka"))
    services = [Service(name, _processes(name, endpoints, running)) for name in SERVICES]
    asyncio.run(_ask_databases(services, targets, broker_answers=answers))
    database = _database(services, targets)
    _note(database, running.get("postgres"))
    return Status(str(home.root), broker, database, services)


def _database(services: list[Service], targets: Targets) -> Process:
    """The database server, or servers, as one: ready if every service's database answers."""
    places = [urlsplit(url) for url in targets.databases.values()]
    hosts = dict.fromkeys(f"{each.hostname or 'socket'}:{each.port or 5432}" for each in places)
    missing = [f"{each.name}: {each.database}" for each in services if each.database != "ok"]
    if len(missing) == len(SERVICES):
        missing = sorted({each.database for each in services})
    return Process("postgres", ", ".join(hosts), not missing, missing)


def _running(home: Home) -> dict[str, dict[str, Any]]:
    """What the stack's supervisord knows of each process; nothing where none runs here."""
    try:
        return {each["name"]: each for each in Supervisor(home).all()}
    except StackError:
        return {}


def _note(process: Process, info: Mapping[str, Any] | None) -> None:
    if info and info["pid"]:
        process.pid = info["pid"]
        process.up_seconds = int(time.time()) - info["start"]
    elif info and info["statename"] not in _STOPPED:
        process.missing.append(f"supervisord says {info['statename']}")


def _processes(
    service: str, endpoints: Endpoints | None, running: Mapping[str, dict[str, Any]]
) -> list[Process]:
    found = []
    urls = endpoints.instances.get(service, []) if endpoints else []
    for number, url in enumerate(urls):
        name = f"{service}-{number}"
        status, body = readiness(url)
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
    services: list[Service], targets: Targets, *, broker_answers: bool
) -> None:
    ends = await _ends(targets) if broker_answers else None
    await asyncio.gather(*(_ask(each, targets, ends) for each in services))


async def _ends(targets: Targets) -> dict[Place, tuple[int, int]] | None:
    """The first offset that is kept and the next one, by partition; None without topics."""
    wanted = {topic for readers in READERS.values() for topic in readers}
    try:
        async with open_topics(targets.bootstrap, targets.prefix) as topics:
            places = await topics.places(wanted)
            first, after = await topics.beginnings(places), await topics.ends(places)
    except AuditImpossible:
        return None
    return {place: (first[place], after[place]) for place in places}


async def _ask(
    service: Service, targets: Targets, ends: Mapping[Place, tuple[int, int]] | None
) -> None:
    service.lag = dict.fromkeys(READERS[service.name].values())
    try:
        connection = await asyncio.wait_for(
            connect(service.name, targets.databases), ANSWER_SECONDS
        )
    except (AuditImpossible, TimeoutError) as error:
        service.database = f"no answer ({type(error.__cause__ or error).__name__})"
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
