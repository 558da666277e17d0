"""The stream of a page: what it brings, and when it ends so that the page says so."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest
from fastapi import FastAPI, Request

from lastmetre.common.security.callers import Person, Principal, Role, Via
from lastmetre.common.web.live_changes import CannotTell, LiveChanges
from lastmetre.common.web.live_events import live_events

SOMEBODY = Person("somebody", Role.SUPERVISOR, None, Via.COOKIE)


class SignIn:
    """An authenticator that knows somebody, until it does not."""

    def __init__(self) -> None:
        self.principal: Principal | None = SOMEBODY

    async def identify(self, _: Request) -> Principal | None:
        return self.principal


class Versions:
    """Changes that come as they are wanted; the last one says that nobody can tell."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    async def after(self, _key: str, _seen: str | None, _seconds: float) -> str:
        if self._left == 0:
            raise CannotTell
        self._left -= 1
        return str(self._left)


def request_of(principal: Principal | None, sign_in: SignIn) -> Request:
    app = FastAPI()
    app.state.authenticator = sign_in
    request = Request({"type": "http", "app": app, "headers": [], "query_string": b""})
    request.state.principal = principal
    return request


def answers(*found: Mapping[str, str] | Exception) -> Callable[[str], Any]:
    """Looks that find these, one after the other."""
    left = iter(found)

    async def look(_: str) -> Mapping[str, str]:
        each = next(left)
        if isinstance(each, Exception):
            raise each
        return each

    return look


def stream(
    look: Callable[[str], Any], looks: int, sign_in: SignIn, principal: Principal | None = SOMEBODY
) -> AsyncIterator[Any]:
    changes = cast("LiveChanges[str]", Versions(looks))
    return live_events(request_of(principal, sign_in), changes, "cases", look)


async def told(events: AsyncIterator[Any]) -> list[tuple[str, str]]:
    return [(each.event, each.raw_data) async for each in events]


async def test_each_value_is_told_when_it_is_another_and_a_beat_each_time() -> None:
    look = answers({"version": "1", "as-of": "9:00"}, {"version": "1", "as-of": "9:05"})
    assert await told(stream(look, 2, SignIn())) == [
        ("version", "1"), ("as-of", "9:00"), ("beat", ""),
        ("as-of", "9:05"), ("beat", ""),
    ]  # fmt: skip


async def test_it_ends_with_the_sign_in() -> None:
    sign_in = SignIn()
    events = stream(answers({"version": "1"}, {"version": "2"}), 2, sign_in)
    assert [(await anext(events)).event for _ in range(2)] == ["version", "beat"]
    sign_in.principal = None
    assert await told(events) == []


async def test_an_open_page_has_no_sign_in_to_end() -> None:
    sign_in = SignIn()
    sign_in.principal = None
    events = stream(answers({"version": "1"}), 1, sign_in, principal=None)
    assert await told(events) == [("version", "1"), ("beat", "")]


@pytest.mark.parametrize("error", [CannotTell(), ConnectionError(), TimeoutError()])
async def test_it_ends_without_a_beat_while_nobody_can_tell(error: Exception) -> None:
    look = answers({"version": "1"}, error)
    assert await told(stream(look, 2, SignIn())) == [("version", "1"), ("beat", "")]
