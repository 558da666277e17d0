"""A process that is told to stop ends its pages' streams first, and holds nothing up for them."""

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.event_stream import events_of

pytestmark = pytest.mark.slow


async def test_an_open_stream_ends_in_order_when_its_process_is_to_end(
    stack: Stack, city: City
) -> None:
    address = city.url("dispatch", "/centre/events?view=open")
    async with city.http.stream("GET", address, headers=city.bearer(Role.OPERATOR)) as stream:
        events = events_of(stream)
        assert (await anext(events))[0] == "version"
        stack.stop_process("dispatch")
        try:
            # Cut off in the middle of an answer it would raise.
            assert {each async for each in events} == {("beat", "")}
        finally:
            stack.start_process("dispatch")
    stack.wait_ready("dispatch")
