"""The dev stack: broker, database server and the four services, started and stopped as one."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lastmetre.cli.endpoints import Endpoints
from lastmetre.cli.probes import broker_answers
from lastmetre.cli.profile import Source, kafka_access
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.postgres.provide import AUDIT_ROLE
from lastmetre.devstack import kafka, postgres
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import Home, write_private
from lastmetre.devstack.jars import OWN_BROKER
from lastmetre.devstack.keys import Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import (
    MAXIMUM_PROCESSES,
    Program,
    Supervisor,
    end_leftovers,
    full_name,
)
from lastmetre.devstack.services import Services, is_ready, kafka_security
from lastmetre.devstack.waiting import wait_until

SUPERVISOR: Final = "supervisord"
_BACK_SECONDS = 60
_ENDS_A_MINUTE = 10
"""A program that is started again this often in a minute is not kept up any longer."""


class Stack:
    """One stack in one folder, for `with` or start() and stop().

    `scale` says how many processes of each service (1 each). `environment` is laid over this
    process's own environment for the services. KAFKA_BOOTSTRAP_SERVERS and <SERVICE>_DATABASE_URL
    in either mean: use those, start no broker, no database. With `services=False` only broker and
    database are started. `report` is told in a line what is done.

    All methods block, and raise StackError with the reason and the way out.
    """

    def __init__(
        self,
        home: Path,
        scale: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
        services: bool = True,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = Home(home.absolute())
        self._scale = dict.fromkeys(SERVICES, 1) if services else {}
        self._with_services = services
        self._extra = dict(environment or {})
        self._wanted = {**os.environ, **self._extra}
        self._report = report
        self._cancelled = threading.Event()
        self._resources = contextlib.ExitStack()
        for service, count in (scale or {}).items():
            self._scale[service] = _checked_count(service, count)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- starting and stopping

    def start(self) -> None:
        """Start everything and return when all of it is ready; if that fails, stop it again."""
        self._cancelled.clear()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.home.make()
        self._resources.enter_context(self.home.locked())
        end_leftovers(self.home)
        self._keys = Keys.kept_in(self.home.secrets)
        self._ports = Ports(self.home.run / "ports.json")
        self._services = Services(self.home, self._ports, self._keys)
        own = [s for s in SERVICES if not self._wanted.get(_database_variable(s))]
        elsewhere = self._wanted.get("KAFKA_BOOTSTRAP_SERVERS")
        self._kafka = None if elsewhere else kafka.Kafka(self.home, self._ports)
        self._postgres = postgres.Postgres(self.home, self._ports, self._keys) if own else None
        self._supervisor = Supervisor(self.home)
        self._resources.callback(self._supervisor.stop)
        self._supervisor.start(self._programs())
        self._together(self._start_broker, lambda: self._start_databases(own))
        self._write_endpoints()
        self._start_services([(s, n) for s, count in self._scale.items() for n in range(count)])

    def _programs(self) -> list[Program]:
        backends = [b.program() for b in (self._kafka, self._postgres) if b]
        return [*backends, *(self._services.programs() if self._with_services else [])]

    def _start_broker(self) -> None:
        began = time.monotonic()
        access, servers = self._kafka_access, self._bootstrap_servers
        if self._kafka:
            self._kafka.prepare(self._cancelled)
            self._kafka.wait(self._supervisor, self._cancelled)
        elif not self._answers_soon(lambda: broker_answers(access)):
            raise StackError(
                f"No broker answers at {servers} (KAFKA_BOOTSTRAP_SERVERS).",
                "correct it, and how it is entered (KAFKA_SECURITY_PROTOCOL and the like), or unset"
                " it to have a broker started here.",
            )
        if self._with_services:
            from lastmetre.common.kafka.topics import apply_topics

            asyncio.run(apply_topics(access, self._topic_prefix, development=True))
        self._report(f"Broker ready after {time.monotonic() - began:.1f} s ({servers})")

    def _start_databases(self, own: list[str]) -> None:
        began = time.monotonic()
        if self._postgres:
            self._postgres.prepare(self._cancelled)
            self._postgres.wait(self._supervisor, own, self._cancelled)
        for service in set(SERVICES) - set(own):
            url = self._database_url(service)
            if not self._answers_soon(partial(postgres.answers, url)):
                raise StackError(
                    f"The database of {service} ({_database_variable(service)}) does not answer.",
                    "correct the variable, or unset it to have a database started here.",
                )
        self._report(f"Databases ready after {time.monotonic() - began:.1f} s")

    def _answers_soon(self, ready: Callable[[], bool]) -> bool:
        return wait_until(ready, lambda: None, 10, self._cancelled)

    def _start_services(self, processes: list[tuple[str, int]]) -> None:
        began = time.monotonic()
        for service, process in processes:
            self.write_environment(service, process)
        self._together(*(lambda s=s, n=n: self._wait_service(s, n) for s, n in processes))
        if processes:
            names = ", ".join(f"{s}-{n}" for s, n in processes)
            self._report(f"Services ready after {time.monotonic() - began:.1f} s ({names})")

    def write_environment(self, service: str, process: int) -> Path:
        """Write what a process of a service reads, and return the file: others may run one too."""
        return self._services.write_environment(
            service,
            process,
            self._bootstrap_servers,
            self._database_url(service),
            self._wanted,
            self._extra,
        )

    def url(self, service: str, process: int) -> str:
        """Where a process of a service answers when it runs."""
        return self._services.url(service, process)

    def admin_url(self, service: str, process: int) -> str:
        """Where its health, figures and internal routes are."""
        return self._services.admin_url(service, process)

    def _wait_service(self, service: str, process: int) -> None:
        self._services.wait(service, process, self._supervisor, self._cancelled)

    def _together(self, *steps: Callable[[], None]) -> None:
        """Run steps beside each other; the first one's failure ends the others' waiting."""
        if not steps:
            return
        with ThreadPoolExecutor(len(steps)) as pool:
            futures = [pool.submit(step) for step in steps]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._cancelled.set()
                raise
            failures = [f.exception() for f in done if f.exception()]
            if failures:
                self._cancelled.set()
        if failures and failures[0]:
            raise failures[0]

    def stop(self) -> None:
        """Stop services (they finish what they hold), then broker and database. Never fails."""
        self._cancelled.set()
        with contextlib.suppress(StackError):
            if self._with_services and self._is_up:
                running = [full_name(s, n) for s in SERVICES for n in range(MAXIMUM_PROCESSES)]
                self._supervisor.end(*running)
        self._resources.close()

    @property
    def _is_up(self) -> bool:
        return hasattr(self, "_supervisor") and self._supervisor.alive

    # --- where things are

    @property
    def _bootstrap_servers(self) -> str:
        if self._kafka:
            return self._kafka.bootstrap_servers
        return self._wanted["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def _kafka_security(self) -> dict[str, str]:
        said = kafka_security(self._bootstrap_servers, self._wanted)
        return {name: value for name, value in said.items() if value is not None}

    @property
    def _kafka_access(self) -> KafkaAccess:
        told = {"KAFKA_BOOTSTRAP_SERVERS": self._bootstrap_servers, **self._kafka_security}
        return kafka_access(Source(told, "environment", Path.cwd()))

    @property
    def _topic_prefix(self) -> str:
        return self._wanted.get("LASTMETRE_TOPIC_PREFIX", "")

    def _database_url(self, service: str, audit: bool = False) -> str:
        variable = _database_variable(service)
        url = self._wanted.get(variable)
        if url:
            # Where somebody else runs the database, he may give the audit a role of its own.
            return (
                self._wanted.get(f"{service.upper()}_AUDIT_DATABASE_URL") or url if audit else url
            )
        assert self._postgres
        return self._postgres.url(AUDIT_ROLE if audit else service, service)

    @property
    def endpoints(self) -> Endpoints:
        """Addresses and keys of the stack as it runs now; the same as in endpoints.json."""
        return Endpoints(
            bootstrap_servers=self._bootstrap_servers,
            kafka_security=self._kafka_security,
            topic_prefix=self._topic_prefix,
            services={s: self._services.url(s) for s, count in self._scale.items() if count},
            instances={
                s: [self._services.url(s, n) for n in range(count)]
                for s, count in self._scale.items()
            },
            admin={
                s: [self._services.admin_url(s, n) for n in range(count)]
                for s, count in self._scale.items()
            },
            databases={s: self._database_url(s) for s in SERVICES},
            audit_databases={s: self._database_url(s, audit=True) for s in SERVICES},
            channel_keys=self._keys.channel_keys,
            service_keys=self._keys.service_keys,
            token_key=self._keys.token_key,
            access_key=self._keys.access_key,
            link_key=self._keys.link_key,
        )

    def _write_endpoints(self) -> None:
        """For others, readable by the owner only, for there are keys among them."""
        write_private(
            self.home.endpoints, self.endpoints.model_dump_json(by_alias=True, indent=2) + "\n"
        )

    def port(self, name: str) -> int:
        """A free port for a listener of whoever started the stack: the same one every time."""
        return self._ports.get(name)

    # --- single programs: "kafka", "postgres", "supervisord" or a service

    def pid(self, program: str, process: int = 0) -> int:
        """Process id, 0 while it does not run."""
        if program == SUPERVISOR:
            return self._supervisor.pid
        return int(self._supervisor.info(full_name(program, process))["pid"])

    def log(self, program: str, process: int = 0) -> Path:
        """The file that holds what a process writes."""
        return self._supervisor.log(full_name(program, process))

    def kill(self, program: str, number: signal.Signals = signal.SIGKILL, process: int = 0) -> int:
        """Send a signal to a running process and return its id; whoever ends is started again."""
        pid = self.pid(program, process)
        if not pid:
            raise StackError(f"{program} (process {process}) does not run.")
        os.kill(pid, number)
        return pid

    def stop_process(self, program: str, process: int = 0) -> None:
        """Stop a process in its orderly way; it stays stopped."""
        self._supervisor.end(full_name(program, process))

    def exit_status(self, program: str, process: int = 0) -> int:
        """How a process that does not run has ended: its exit code, -1 after a signal."""
        return int(self._supervisor.info(full_name(program, process))["exitstatus"])

    def start_process(self, program: str, process: int = 0) -> None:
        """Start a process that was stopped, and wait until it is ready."""
        self._supervisor.begin(full_name(program, process))
        self.wait_ready(program, process)

    def restart(self, program: str, process: int = 0) -> None:
        """Stop a process in its orderly way, start it again, wait until it is ready."""
        self.stop_process(program, process)
        self.start_process(program, process)

    def wait_ready(self, program: str, process: int = 0, seconds: float = _BACK_SECONDS) -> None:
        """Wait until a process answers, say after kill()."""
        if not wait_until(
            lambda: self.is_ready(program, process), lambda: None, seconds, self._cancelled
        ):
            raise StackError(
                f"{program} (process {process}) is not ready after {seconds:.0f} s.",
                log=self.log(program, process),
            )

    def is_ready(self, program: str, process: int = 0) -> bool:
        """Whether a process answers now."""
        if program == "kafka":
            return broker_answers(self._kafka_access)
        if program == "postgres":
            return all(postgres.answers(self._database_url(s)) for s in SERVICES)
        return is_ready(self.admin_url(program, process))

    def set_scale(self, counts: Mapping[str, int]) -> None:
        """Have so many processes of these services: new ones are ready, the last ones have ended.

        The endpoints name none that is not ready yet or about to end.
        """
        before = self._scale
        after = before | {service: _checked_count(service, n) for service, n in counts.items()}
        self._start_services([(s, n) for s in after for n in range(before[s], after[s])])
        self._scale = after
        self._write_endpoints()
        self._supervisor.end(*(full_name(s, n) for s in after for n in range(after[s], before[s])))

    # --- keeping watch

    def watch(self) -> Iterator[str]:
        """Say what ended and was started again, for as long as the stack runs.

        Yields a line for it, or "" each second when nothing happened. Raises StackError when
        something will not stay up, or supervisord is gone.
        """
        pids: dict[str, int] = {}
        ends: dict[str, list[float]] = {}
        while not self._cancelled.wait(1):
            told = False
            for info in self._supervisor.all():
                name, pid = f"{info['group']}:{info['name']}", info["pid"]
                before = pids.get(name)
                if pid:
                    pids[name] = pid
                if before and pid and pid != before:
                    told = True
                    recent = [t for t in ends.get(name, []) if t > time.monotonic() - 60]
                    ends[name] = [*recent, time.monotonic()]
                    yield f"{info['name']} had ended and was started again (process {pid})"
                self._check_lasting(name, info["statename"], len(ends.get(name, [])))
            if not told:
                yield ""

    def _check_lasting(self, name: str, state: str, ends: int) -> None:
        if state == "FATAL" or ends >= _ENDS_A_MINUTE:
            raise StackError(
                f"{name.partition(':')[2]} does not stay up.",
                f"look into its log; for a broker of your own {OWN_BROKER}; for the databases "
                f"{postgres.OWN_DATABASES}.",
                self._supervisor.log(name),
            )


def _database_variable(service: str) -> str:
    return f"{service.upper()}_DATABASE_URL"


def _checked_count(service: str, count: int) -> int:
    if service not in SERVICES or not 0 <= count <= MAXIMUM_PROCESSES:
        raise StackError(
            f"{service}={count}: a service is one of {', '.join(SERVICES)}, "
            f"with 0 to {MAXIMUM_PROCESSES} processes."
        )
    return count
