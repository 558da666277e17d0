"""A rig: brokers, databases, the services and whatever stands between them, for one module."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiokafka.errors import UnknownTopicOrPartitionError

from lastmetre.cli.endpoints import Endpoints
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.postgres.provide import AUDIT_ROLE
from lastmetre.devstack.home import Home, write_private
from lastmetre.devstack.keys import Keys
from lastmetre.devstack.ports import Ports
from tests.faults.rig.brokers import HOST, Brokers
from tests.faults.rig.mail import MailServer
from tests.faults.rig.postgres import Postgres, Server
from tests.faults.rig.proxy import Proxies, Proxy
from tests.faults.rig.services import ServiceProcesses

KAFKA: Final = "kafka"
POSTGRES: Final = "postgres"
INTAKE: Final = "intake"
APPLY_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class Shape:
    """What a trial needs: how many brokers; which service's database lies `apart`, on a server of
    its own; whether that server has a standby; which services reach their servers through proxies;
    a small volume for the databases; further settings of the services."""

    brokers: int = 1
    apart: str = ""
    standby: bool = False
    proxied: Sequence[str] = ()
    tablespace: Callable[[Server], Path] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    before_services: Callable[["Rig"], None] | None = None


class Rig:
    """Everything that a trial works on, for `with`. All methods block."""

    def __init__(self, root: Path, shape: Shape) -> None:
        self.home = Home(root)
        self.home.make()
        self.shape = shape
        self._ports = Ports(self.home.run / "ports.json")
        self.keys = Keys.kept_in(self.home.secrets)
        self.brokers = Brokers(shape.brokers, self.home, self._ports, shape.proxied)
        together = [s for s in SERVICES if s != shape.apart]
        common = Postgres(self.home, self._ports, self.keys, together)
        apart = (
            Postgres(self.home, self._ports, self.keys, [shape.apart], "apart")
            if shape.apart
            else common
        )
        self.postgres = {s: apart if s == shape.apart else common for s in SERVICES}
        self.apart = apart
        self.mail = MailServer(self._ports.get("mail"))
        self.proxies = Proxies()
        self._between: dict[tuple[str, str], list[Proxy]] = {}
        self.services = ServiceProcesses(
            self.home,
            self._ports,
            self.keys,
            self._database_of,
            self._bootstrap_of,
            {
                "NOTIFY_SMTP_HOST": HOST,
                "NOTIFY_SMTP_STARTTLS": "false",
                "NOTIFY_SMTP_PORT": str(self.mail.port),
                "NOTIFY_RETRY_FIRST_SECONDS": "1",
                "NOTIFY_RETRY_LONGEST_SECONDS": "2",
                **shape.extra,
            },
            self._extra_of,
        )
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def _start(self) -> None:
        self._resources.callback(self.proxies.stop)
        self.proxies.start()
        self._resources.callback(self.mail.stop)
        self.mail.start()
        for service in self.shape.proxied:
            self._put_between(service)
        self._resources.callback(self.brokers.stop)
        self.brokers.start()
        for servers in self.servers:
            self._resources.callback(servers.stop)
            servers.start(self.shape.tablespace)
        if self.shape.standby:
            self.apart.start_standby()
        asyncio.run(self._apply_topics())
        if self.shape.before_services:
            self.shape.before_services(self)
        write_private(self.home.endpoints, self.endpoints.model_dump_json(by_alias=True))
        self._resources.callback(self.services.stop)
        self.services.start()

    async def _apply_topics(self) -> None:
        """Again where a broker has not heard yet of a topic that was made on another."""
        for attempt in itertools.count():
            try:
                await apply_topics(self.brokers.bootstrap_servers, "", development=True)
                return
            except UnknownTopicOrPartitionError:
                if attempt == APPLY_ATTEMPTS:
                    raise

    def _put_between(self, service: str) -> None:
        server = self.postgres[service].primary
        self._between[service, POSTGRES] = [self.proxies.open(server.port)]
        self._between[service, KAFKA] = []
        if service == "notify":
            port = int(self.services.url(INTAKE).rpartition(":")[2])
            self._between[service, INTAKE] = [self.proxies.open(port)]
        for broker in self.brokers.nodes:
            proxy = self.proxies.open(broker.ports[service])
            broker.advertised[service] = proxy.port
            self._between[service, KAFKA].append(proxy)

    @property
    def servers(self) -> list[Postgres]:
        """Each once."""
        return list({id(each): each for each in self.postgres.values()}.values())

    def between(self, service: str, what: str) -> list[Proxy]:
        """The proxies between a service and its database, or the brokers."""
        return self._between[service, what]

    def _database_of(self, service: str) -> str:
        proxies = self._between.get((service, POSTGRES))
        if not proxies:
            return self.postgres[service].url(service, service)
        password = self.keys.database_passwords[service]
        return f"postgresql://{service}:{password}@{HOST}:{proxies[0].port}/{service}"

    def _bootstrap_of(self, service: str) -> str:
        proxies = self._between.get((service, KAFKA))
        if not proxies:
            return self.brokers.bootstrap_servers
        return ",".join(f"{HOST}:{each.port}" for each in proxies)

    def _extra_of(self, service: str) -> dict[str, str]:
        proxies = self._between.get((service, INTAKE))
        return {"INTAKE_INTERNAL_URL": f"http://{HOST}:{proxies[0].port}"} if proxies else {}

    def audit_database(self, service: str) -> str:
        """Where a service's database is read by one who may only read."""
        return self.postgres[service].url(AUDIT_ROLE, service)

    @property
    def endpoints(self) -> Endpoints:
        """As a stack's."""
        return Endpoints(
            bootstrap_servers=self.brokers.bootstrap_servers,
            services={s: self.services.url(s) for s in SERVICES},
            instances={s: [self.services.url(s)] for s in SERVICES},
            admin={s: [self.services.admin_url(s)] for s in SERVICES},
            databases={s: self.postgres[s].url(s, s) for s in SERVICES},
            audit_databases={s: self.audit_database(s) for s in SERVICES},
            channel_keys=self.keys.channel_keys,
            service_keys=self.keys.service_keys,
            token_key=self.keys.token_key,
            access_key=self.keys.access_key,
            link_key=self.keys.link_key,
        )
