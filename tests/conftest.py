"""Real broker, database and services for the tests: one stack a session, in a home of its own."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from cli.stack import Stack
from cli.stack.keys import SUPERUSER, Keys
from cli.stack.postgres import provide_database
from tests.integration.intake_city import IntakeCity
from tests.integration.metrics_world import Metrics
from tests.integration.notify_city import City as NotifyCity
from tests.support.city import City


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Broker, database and one process of each service."""
    with Stack(tmp_path_factory.mktemp("stack") / "home") as running:
        yield running


@pytest.fixture(scope="session")
def stack_backends(stack: Stack) -> Stack:
    """For tests that bring a service of their own: the same broker and database."""
    return stack


@pytest.fixture
async def city(stack: Stack) -> AsyncIterator[City]:
    """Somebody who talks to the stack's services."""
    endpoints = stack.endpoints.model_dump(mode="json", by_alias=True)
    async with City(endpoints) as opened:
        yield opened


def fresh_database(stack: Stack, service: str) -> str:
    """The address of a new, empty database that `service` owns."""
    passwords = Keys.kept_in(stack.home.secrets).database_passwords
    server = urlsplit(stack.endpoints.databases[service])
    name = f"{service}_{secrets.token_hex(4)}"

    def url(role: str, database: str) -> str:
        return f"postgresql://{role}:{passwords[role]}@{server.hostname}:{server.port}/{database}"

    async def provide() -> None:
        connection = await asyncpg.connect(url(SUPERUSER, "postgres"))
        try:
            await provide_database(connection, name, owner=service)
        finally:
            await connection.close()

    asyncio.run(provide())
    return url(service, name)


@pytest.fixture
def outbox(stack: Stack) -> Path:
    """The folder that stands in for SMS."""
    return stack.home.outbox


@pytest.fixture
def notify_city(stack: Stack, tmp_path: Path) -> NotifyCity:
    """Notify alone, on topics and in a database of its own."""
    return NotifyCity(stack.endpoints.bootstrap_servers, fresh_database(stack, "notify"), tmp_path)


@pytest.fixture
def intake_city(stack: Stack, tmp_path: Path) -> IntakeCity:
    """Intake alone, on topics and in a database of its own."""
    return IntakeCity(stack.endpoints.bootstrap_servers, fresh_database(stack, "intake"), tmp_path)


@pytest.fixture
def metrics_database(stack: Stack) -> str:
    """An empty database for metrics."""
    return fresh_database(stack, "metrics")


@pytest.fixture
async def metrics_city(stack: Stack, metrics_database: str) -> AsyncIterator[Metrics]:
    """Metrics alone, on topics and in a database of its own."""
    async with Metrics(stack.endpoints.bootstrap_servers, metrics_database) as metrics:
        yield metrics


@pytest.fixture
def as_started(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives this process the environment that a service of the stack was started with."""

    def set_environment(service: str) -> None:
        file = stack.home.run / "environment" / f"{service}-0.json"
        for name, value in json.loads(file.read_text("utf-8")).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_environment
