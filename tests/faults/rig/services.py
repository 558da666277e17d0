"""The four services of a rig, kept running, and what they say of their health once a second."""

import http.client
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.home import Home
from lastmetre.devstack.keys import Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import guarded
from lastmetre.devstack.services import Services as Environments
from tests.faults.rig.processes import Exit, Process
from tests.support.city import figure, wait_until

READY_SECONDS: Final = 90.0
SAMPLE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 4.0


@dataclass(frozen=True)
class Sample:
    """What one process said at a moment: statuses of /livez, /readyz and /readyz?all; 0 for none.
    `missing` is the body of a /readyz?all that is not 200."""

    at: float
    name: str
    live: int
    ready: int
    well: int
    missing: str


class ServiceProcesses:
    """Processes of the services: `database` and `bootstrap` say where each finds its own."""

    def __init__(
        self,
        home: Home,
        ports: Ports,
        keys: Keys,
        database: Callable[[str], str],
        bootstrap: Callable[[str], str],
        extra: Mapping[str, str],
        extra_of: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._home = home
        self._environments = Environments(home, ports, keys)
        self._database = database
        self._bootstrap = bootstrap
        self._extra = extra
        self._extra_of = extra_of
        self._processes: dict[tuple[str, int], Process] = {}
        self._ended: list[Process] = []
        self.samples: list[Sample] = []
        self._enough = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def url(self, service: str, process: int = 0) -> str:
        """Base URL of a process."""
        return self._environments.url(service, process)

    def admin_url(self, service: str, process: int = 0) -> str:
        """Base URL of its admin port."""
        return self._environments.admin_url(service, process)

    def urls(self, service: str) -> list[str]:
        """Base URLs of all processes of a service."""
        return [self.url(*each) for each in self._processes if each[0] == service]

    def start(self) -> None:
        """One process of each, and return when all are well."""
        for service in SERVICES:
            self.add(service)
        self._sampler.start()
        self.wait()

    def add(self, service: str, process: int = 0, **extra: str) -> None:
        """Start one more process, without waiting."""
        self._environments.write_environment(
            service,
            process,
            self._bootstrap(service),
            self._database(service),
            {},
            {**self._extra, **self._extra_of(service), **extra},
        )
        name = f"{service}-{process}"
        environment = self._home.run / "environment" / f"{name}.json"
        command = guarded([sys.executable, "-m", f"lastmetre.{service}"], environment=environment)
        made = Process(name, command, self._home.logs / f"{name}.log", stays=True)
        self._processes[service, process] = made
        made.start()

    def __getitem__(self, which: str | tuple[str, int]) -> Process:
        return self._processes[(which, 0) if isinstance(which, str) else which]

    def end(self, service: str, process: int = 0) -> int:
        """Stop a process in its orderly way, for good; returns its exit code."""
        ended = self._processes.pop((service, process))
        self._ended.append(ended)
        return ended.end()

    def wait(self, seconds: float = READY_SECONDS) -> None:
        """Until every process says that all in it works."""
        try:
            wait_until(lambda: not self.unwell(), "health of all", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.unwell()}") from None

    def unwell(self) -> dict[str, str]:
        """Who does not say that all in it works, and why."""
        said = {p.name: ask(self.admin_url(*which), "/readyz?all") for which, p in self._items()}
        return {name: text for name, (status, text) in said.items() if status != 200}

    def _items(self) -> list[tuple[tuple[str, int], Process]]:
        return list(self._processes.items())

    @property
    def exits(self) -> list[Exit]:
        """How processes of all services have ended so far."""
        everyone = [*self._ended, *(process for _, process in self._items())]
        return sorted((e for each in everyone for e in each.exits), key=lambda e: e.at)

    def counter(self, name: str) -> int:
        """The sum of one figure of /metrics over all processes, as they are now."""
        said = (ask(self.admin_url(*which), "/metrics") for which, _ in self._items())
        return int(sum(figure(text, name) for status, text in said if status == 200))

    def _sample(self) -> None:
        while not self._enough.wait(SAMPLE_SECONDS):
            for which, process in self._items():
                url = self.admin_url(*which)
                well, missing = ask(url, "/readyz?all")
                self.samples.append(
                    Sample(
                        time.monotonic(), process.name, ask(url, "/livez")[0],
                        ask(url, "/readyz")[0], well, "" if well == 200 else missing,
                    )
                )  # fmt: skip

    def red(self, since: float, what: Callable[[Sample], int]) -> Counter[str]:
        """How often each process answered 503 there since a moment."""
        return Counter(each.name for each in self.samples if each.at > since and what(each) == 503)

    def stop(self) -> None:
        """End all, and the sampling. Never fails."""
        self._enough.set()
        if self._sampler.is_alive():
            self._sampler.join()
        for _, process in self._items():
            process.end(signal.SIGKILL)


def ask(url: str, path: str) -> tuple[int, str]:
    """Status and body of a GET; 0 and the reason if nothing answers."""
    address = urlsplit(url)
    host = address.hostname or "127.0.0.1"
    connection = http.client.HTTPConnection(host, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer ({type(error).__name__})"
    finally:
        connection.close()
