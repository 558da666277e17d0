"""Single services of their own, on the session's broker and database server."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lastmetre.devstack import Stack
from tests.integration.notify_ledgers import LEADS
from tests.support.city import City, IntakeAlone, MetricsAlone, NotifyAlone, ServiceProcess
from tests.support.city.own import own_city
from tests.support.databases import fresh_database


@pytest.fixture
def notify_database(stack: Stack) -> str:
    """An empty database for notify."""
    return fresh_database(stack, "notify")


@pytest.fixture
async def notify(stack: Stack, notify_database: str, tmp_path: Path) -> AsyncIterator[NotifyAlone]:
    """Notify alone, on topics and in a database of its own; no process runs yet."""
    city = NotifyAlone(stack.endpoints.bootstrap_servers, notify_database, tmp_path)
    async with city.running() as opened:
        opened.vault.contacts = dict(LEADS)
        yield opened


@pytest.fixture(scope="module")
def lasting(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> NotifyAlone:
    """Notify, the same for all tests of a module."""
    folder = tmp_path_factory.mktemp("notify")
    return NotifyAlone(stack.endpoints.bootstrap_servers, fresh_database(stack, "notify"), folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(lasting: NotifyAlone) -> AsyncIterator[ServiceProcess]:
    """One process of that notify, which runs all the time."""
    async with lasting.running() as opened:
        yield await opened.start()


@pytest_asyncio.fixture(loop_scope="module")
async def ordinary(lasting: NotifyAlone, started: ServiceProcess) -> NotifyAlone:
    """That notify as it is started ordinarily, with nothing left of other tests."""
    lasting.vault.contacts = dict(LEADS)
    await lasting.begin()
    return lasting


@pytest.fixture(scope="module")
def town(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Services of a module's own, which it may stop, change and tell anything."""
    with own_city(stack, tmp_path_factory.mktemp("town") / "home") as running:
        yield running


@pytest.fixture
async def town_city(town: Stack) -> AsyncIterator[City]:
    """Somebody who talks to them."""
    async with City(town.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        yield opened


@pytest.fixture
def intake_city(stack: Stack, tmp_path: Path) -> IntakeAlone:
    """Intake alone, on topics and in a database of its own."""
    return IntakeAlone(stack.endpoints.bootstrap_servers, fresh_database(stack, "intake"), tmp_path)


@pytest.fixture
def metrics_database(stack: Stack) -> str:
    """An empty database for metrics."""
    return fresh_database(stack, "metrics")


@pytest.fixture
async def metrics_city(
    stack: Stack, metrics_database: str, tmp_path: Path
) -> AsyncIterator[MetricsAlone]:
    """Metrics alone, on topics and in a database of its own."""
    city = MetricsAlone(stack.endpoints.bootstrap_servers, metrics_database, tmp_path)
    async with city.running() as opened:
        yield opened


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
