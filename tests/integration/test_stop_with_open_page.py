"""A process that is told to stop ends its pages' streams first, and holds nothing up for them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.city.own import own_city
from tests.support.event_stream import events_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with own_city(stack, tmp_path_factory.mktemp("stopped") / "home") as running:
        yield running


@pytest.fixture
async def city(town: Stack) -> AsyncIterator[City]:
    async with City(town.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        yield opened


async def test_an_open_stream_ends_in_order_when_its_process_is_to_end(
    town: Stack, city: City
) -> None:
    address = city.url("dispatch", "/centre/events?view=open")
    async with city.http.stream("GET", address, headers=city.bearer(Role.OPERATOR)) as stream:
        events = events_of(stream)
        assert (await anext(events))[0] == "version"
        town.stop_process("dispatch")
        # Cut off in the middle of an answer it would raise.
        assert {each async for each in events} == {("beat", "")}
