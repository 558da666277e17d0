"""Real broker, database and services for the tests: one stack a session, in a home of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from lastmetre.devstack import Stack
from tests.support.city import City

# As structlog logs where nobody configures it, but for tracebacks drawn by rich: these took six
# sevenths of the time of tests in which errors are logged by the hundred.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


# No test fails because the machine had something else to do.
settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Broker, database and one process of each service."""
    with Stack(tmp_path_factory.mktemp("stack") / "home") as running:
        yield running


@pytest.fixture
async def city(stack: Stack) -> AsyncIterator[City]:
    """Somebody who talks to the stack's services."""
    endpoints = stack.endpoints.model_dump(mode="json", by_alias=True)
    async with City(endpoints) as opened:
        yield opened


@pytest.fixture
def outbox(stack: Stack) -> Path:
    """The folder that stands in for SMS."""
    return stack.home.outbox
