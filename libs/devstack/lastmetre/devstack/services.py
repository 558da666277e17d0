"""The four services as processes of the stack: what they are told, and whether they are ready."""

import http
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from lastmetre.cli.probes import readiness
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.service.build_info import REVISION_VARIABLE
from lastmetre.common.service.kafka_settings import SECURITY_SETTINGS
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import CHECKOUT, LOCAL, SAMPLE_CITY, Home, write_private
from lastmetre.devstack.keys import Keys
from lastmetre.devstack.ports import Ports
from lastmetre.devstack.process_guard import PARENT_VARIABLE
from lastmetre.devstack.programs import (
    DRAIN_SECONDS,
    MAXIMUM_PROCESSES,
    SERVICES_GROUP,
    Program,
    Supervisor,
    full_name,
    guarded,
)
from lastmetre.devstack.waiting import wait_until

_READY_SECONDS = 90
_HOST = "127.0.0.1"
_KEYS_FROM_HOME = (
    "LASTMETRE_TOKEN_KEY",
    "LASTMETRE_TOKEN_OLD_KEYS",
    "LASTMETRE_LINK_KEY",
    "LASTMETRE_LINK_OLD_KEYS",
    "LASTMETRE_IDENTITY_KEY",
    "INTAKE_VAULT_KEY",
    "INTAKE_ACCESS_KEY",
)
_CATEGORIES = "LASTMETRE_CATEGORIES_FILE"
_FREELY_SET = (
    *(f"{s.upper()}_PUBLIC_URL" for s in SERVICES),
    "NOTIFY_OUTBOX_DIRECTORY",
    _CATEGORIES,
)


class Services:
    """How the processes of the services are run and found."""

    def __init__(self, home: Home, ports: Ports, keys: Keys) -> None:
        self._home = home
        self._ports = ports
        self._keys = keys

    def url(self, service: str, process: int = 0) -> str:
        """Base URL of one process."""
        return f"http://{_HOST}:{self._port(service, process)}"

    def admin_url(self, service: str, process: int = 0) -> str:
        """Base URL of its admin port: health, figures, internal routes."""
        return f"http://{_HOST}:{self._admin_port(service, process)}"

    def _port(self, service: str, process: int) -> int:
        return self._ports.get(f"{service}-{process}")

    def _admin_port(self, service: str, process: int) -> int:
        return self._ports.get(f"{service}-{process}-admin")

    def programs(self) -> list[Program]:
        """How supervisord runs them: places for as many as there may ever be, none started."""
        folder = self._home.run / "environment"
        return [
            Program(
                service,
                guarded(
                    [sys.executable, "-m", f"lastmetre.{service}"],
                    environment=folder / f"{service}-{{n}}.json",
                ),
                SERVICES_GROUP,
                priority=100,
                stop_seconds=DRAIN_SECONDS,
                count=MAXIMUM_PROCESSES,
            )
            for service in SERVICES
        ]

    def write_environment(
        self,
        service: str,
        process: int,
        bootstrap_servers: str,
        database: str,
        wanted: Mapping[str, str],
        extra: Mapping[str, str],
    ) -> Path:
        """Write what one process reads at its next start, and return the file.

        `wanted` is the environment of whoever starts the stack: what he says about links, the
        outbox folder and the categories holds; `extra` wins over everything.
        """
        folder = self._home.run / "environment"
        folder.mkdir(mode=0o700, exist_ok=True)
        name = service.upper()
        secrets = self._home.secrets
        own: dict[str, str | None] = {
            # All that it is told stands here, so that tools can be told the same.
            **{name: value for name, value in wanted.items() if _is_setting(name)},
            # Keys that happen to be set here would not be those in endpoints.json, and a service
            # has no business in another one's database.
            **dict.fromkeys(_KEYS_FROM_HOME),
            **dict.fromkeys(f"{s.upper()}_DATABASE_URL" for s in SERVICES),
            "LASTMETRE_HOME": str(self._home.root),
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            **kafka_security(bootstrap_servers, wanted),
            f"{name}_DATABASE_URL": database,
            f"{name}_HTTP_HOST": _HOST,
            f"{name}_HTTP_PORT": str(self._port(service, process)),
            f"{name}_ADMIN_PORT": str(self._admin_port(service, process)),
            REVISION_VARIABLE: checked_out_revision(),
            **{f"{s.upper()}_PUBLIC_URL": self.url(s) for s in SERVICES},
            "LASTMETRE_SIGN_IN_URL": self.url("intake"),
            "INTAKE_INTERNAL_URL": self.admin_url("intake"),
            "NOTIFY_INTERNAL_URL": self.admin_url("notify"),
            _CATEGORIES: str(SAMPLE_CITY / "categories.csv"),
            "LASTMETRE_SIGN_IN": "development",
            "LASTMETRE_TOKEN_KEY_FILE": str(secrets / "token_key"),
            "LASTMETRE_ACCESS_KEYS": self._keys.public_access_key,
            "LASTMETRE_SERVICE_KEYS": json.dumps(self._keys.hashed_service_keys()),
            f"{name}_SERVICE_KEY": self._keys.service_keys[service],
            **self._only_for(service),
            **{name: wanted[name] for name in _FREELY_SET if name in wanted},
            **extra,
            **_own_credentials(service, wanted),
        }
        file = folder / f"{service}-{process}.json"
        write_private(file, json.dumps(own, indent=1))
        return file

    def _only_for(self, service: str) -> dict[str, str]:
        links = {"LASTMETRE_LINK_KEY_FILE": str(self._home.secrets / "link_key")}
        if service == "intake":
            return {
                **links,
                # Each service has a port of its own here: a page cannot renew its access token.
                "INTAKE_ACCESS_TOKEN_SECONDS": "43200",
                "INTAKE_ACCESS_KEY_FILE": str(self._home.secrets / "access_key"),
                "INTAKE_VAULT_KEY_FILE": str(self._home.secrets / "vault_key"),
                "INTAKE_CHANNEL_KEYS_FILE": str(self._home.secrets / "channel_keys.json"),
                "INTAKE_PHOTOS": str(self._home.photos),
                # Nobody confirms backups of it.
                "INTAKE_BACKUP_INTERVAL_SECONDS": "86400",
                # Everybody comes from one address here.
                "INTAKE_FINDS_PER_CLIENT": "100000",
                "INTAKE_FORMS_PER_CLIENT": "100000",
            }
        if service == "dispatch":
            return {"DISPATCH_FIELD_SYSTEMS_FILE": str(LOCAL / "field-systems.json")}
        if service == "notify":
            return {**links, "NOTIFY_OUTBOX_DIRECTORY": str(self._home.outbox)}
        return {}

    def wait(
        self, service: str, process: int, supervisor: Supervisor, cancelled: threading.Event
    ) -> None:
        """Start a process unless it runs, and return once it says that it is ready."""
        name = full_name(service, process)
        exits = supervisor.exits(name)
        supervisor.begin(name)
        way_out = "look into its log; `lastmetre status` shows what the others say."
        ready = wait_until(
            lambda: is_ready(self.admin_url(service, process)),
            lambda: exits.check(f"The service {service} (process {process})", way_out),
            _READY_SECONDS,
            cancelled,
        )
        if not ready:
            raise StackError(
                f"The service {service} (process {process}) is not ready after "
                f"{_READY_SECONDS} s: {readiness(self.admin_url(service, process))[1]}",
                way_out,
                supervisor.log(name),
            )


@cache
def checked_out_revision() -> str:
    """The commit that is checked out, short; empty without a checkout or git."""
    if CHECKOUT is None:
        return ""
    asked = ["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def kafka_security(bootstrap_servers: str, environment: Mapping[str, str]) -> dict[str, str | None]:
    """How these brokers are entered: as the environment says if it names them, else without
    security, and None takes away what it says of others. Files by their whole path."""
    names_them = environment.get("KAFKA_BOOTSTRAP_SERVERS") == bootstrap_servers
    said = {name: environment.get(name) if names_them else None for name in SECURITY_SETTINGS}
    return {
        name: str(Path(value).absolute()) if value and name.endswith("_FILE") else value or None
        for name, value in said.items()
    }


def _own_credentials(service: str, environment: Mapping[str, str]) -> dict[str, str | None]:
    """A service's own user in Kafka, where there is one: INTAKE_KAFKA_SASL_USERNAME and so on.
    It is told those of no other."""
    names = ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
    own = {each: environment.get(f"{service.upper()}_{each}") for each in names}
    return {
        **{f"{s.upper()}_{each}": None for s in SERVICES for each in names},
        **{name: value for name, value in own.items() if value},
    }


def _is_setting(name: str) -> bool:
    return name.startswith("LASTMETRE_") and name != PARENT_VARIABLE


def is_ready(url: str) -> bool:
    """Whether the service there says that it is ready."""
    return readiness(url)[0] == http.HTTPStatus.OK
