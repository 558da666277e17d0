"""Each stack's services, and the tools of that stack, enter its brokers as that stack says."""

import json
from pathlib import Path
from typing import Final

import pytest

from lastmetre.cli.endpoints import Endpoints
from lastmetre.cli.profile import Installation
from lastmetre.devstack.home import Home
from lastmetre.devstack.keys import Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.services import Services

OURS: Final = "127.0.0.1:9092"
THEIRS: Final = "kafka.example.org:9093"
ENTERED: Final = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SSL_CA_FILE": "authority.pem",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "lastmetre",
    "KAFKA_SASL_PASSWORD_FILE": "password",
}
SHELL: Final = {"KAFKA_BOOTSTRAP_SERVERS": THEIRS, **ENTERED}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "password").write_text("correct horse")
    monkeypatch.chdir(tmp_path)
    for name, value in ENTERED.items():
        monkeypatch.setenv(name, value)
    home = Home(tmp_path / "home")
    home.make()
    return home


def told(home: Home, servers: str, shell: dict[str, str]) -> dict[str, str | None]:
    """What a process of notify is told of Kafka."""
    services = Services(home, Ports(home.run / "ports.json"), Keys.kept_in(home.secrets))
    file = services.write_environment("notify", 0, servers, "postgresql://", shell, {})
    written: dict[str, str | None] = json.loads(file.read_text("utf-8"))
    return {name: value for name, value in written.items() if name.startswith("KAFKA_")}


def test_brokers_of_the_stacks_own_are_entered_without_what_the_shell_says(home: Home) -> None:
    written = told(home, OURS, ENTERED)
    assert written.pop("KAFKA_BOOTSTRAP_SERVERS") == OURS
    assert ENTERED.keys() <= written.keys()
    assert set(written.values()) == {None}
    tool = Installation.of_stack(endpoints(), home.root).environment_of("notify")
    assert tool["KAFKA_BOOTSTRAP_SERVERS"] == OURS
    assert not ENTERED.keys() & tool.keys()


def test_the_shells_brokers_are_entered_as_it_says_with_files_by_their_whole_path(
    home: Home,
) -> None:
    written = told(home, THEIRS, SHELL)
    here = home.root.parent
    assert {name: value for name, value in written.items() if value is not None} == SHELL | {
        "KAFKA_SSL_CA_FILE": str(here / "authority.pem"),
        "KAFKA_SASL_PASSWORD_FILE": str(here / "password"),
    }


def test_commands_enter_the_brokers_as_the_endpoints_say(home: Home) -> None:
    plain = Installation.of_stack(endpoints(), home.root).broker().access
    assert (plain.security_protocol, plain.sasl) == ("PLAINTEXT", None)
    secured = Installation.of_stack(endpoints(**ENTERED), home.root.parent).broker().access
    assert secured.security_protocol == "SASL_SSL"
    assert secured.sasl is not None
    assert secured.sasl.password == "correct horse"


def endpoints(**security: str) -> Endpoints:
    return Endpoints(
        bootstrap_servers=OURS,
        kafka_security=security,
        databases={},
        audit_databases={},
        channel_keys={},
        service_keys={},
        token_key="",
        access_key="",
        link_key="",
    )
