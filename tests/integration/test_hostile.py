"""Bad requests: each gets its stated answer, nothing answers 500, nobody else is disturbed. The
table is in `hostile_http`; what comes through Kafka is in `test_hostile_kafka`."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from lastmetre.devstack import Stack
from tests.integration.hostile_http import (
    DOORS,
    FORMS,
    LARGE,
    ODD_HEADERS,
    PATHS,
    RAW,
    Door,
    report,
)
from tests.support.callers import callers
from tests.support.city import City
from tests.support.logs import nothing_unexpected
from tests.support.wire import Answer, spoken

BAD_IN_THE_MIDDLE = 250


@pytest.fixture(autouse=True)
def quiet(stack: Stack) -> Iterator[None]:
    with nothing_unexpected(stack):
        yield


@dataclass(frozen=True)
class Ground:
    """What the requests are about: `{case}` and the like in their paths."""

    city: City
    callers: dict[str, dict[str, str]]
    names: dict[str, str]

    def request(self, door: Door) -> tuple[str, str, dict[bytes, bytes]]:
        """Method, address and headers."""
        method, path = door.request.split(" ", 1)
        headers = self.callers[door.caller] | dict(door.headers)
        return method, self.city.url(door.service, self.named(path)), encoded(headers)

    def named(self, path: str) -> str:
        for name, value in self.names.items():
            path = path.replace(f"{{{name}}}", value)
        return path


def encoded(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


@pytest.fixture
async def ground(city: City) -> AsyncIterator[Ground]:
    await city.import_network()
    receipt = await city.report(f"hostile-{uuid.uuid4()}")
    case_id = await city.case_of(receipt)
    yield Ground(
        city,
        {caller.name: dict(caller.headers) for caller in callers(city)},
        {
            "case": str(case_id),
            "nobody": str(uuid.uuid4()),
            "receipt": receipt,
            "rating": city.credentials.rating_token(case_id, 5),
        },
    )
    assert await city.ledger(case_id) == ["registered", "dispatched"], "nothing was done to it"


def wrong_with(answer: httpx.Response, status: int, told: str | None) -> str | None:
    """What is not as it was stated; a refusal is a problem of RFC 9457, or a page with the form."""
    if answer.status_code != status:
        return f"{answer.status_code}, not {status}: {answer.text[:200]}"
    if status < 400 or (told is None and answer.headers["content-type"].startswith("text/html")):
        return None
    if answer.headers["content-type"] != "application/problem+json":
        return f"{answer.headers['content-type']}"
    problem: dict[str, Any] = answer.json()
    if problem["status"] != status or not problem["title"]:
        return str(problem)
    if told is None or told == problem["type"]:
        return None
    if told.startswith("/problems/"):
        return f"{problem['type']}, not {told}"
    pointers = [error["pointer"] for error in problem.get("errors", [])]
    return None if told in pointers else f"names {pointers}, not {told!r}"


@pytest.mark.parametrize("doors", [DOORS, FORMS], ids=["api", "forms"])
async def test_requests(ground: Ground, doors: tuple[Door, ...]) -> None:
    wrong = []
    for door in doors:
        method, url, headers = ground.request(door)
        for name, body, status, told in door.rows:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = await ground.city.http.request(method, url, content=content, headers=headers)
            if problem := wrong_with(answer, status, told):
                wrong.append(f"{door.request}, {name}: {problem}")
    assert not wrong, "\n".join(wrong)


async def test_paths_and_headers(ground: Ground) -> None:
    wrong = []
    for service, caller, path, status in PATHS:
        base = ground.city.base(service, path)
        headers = encoded(ground.callers[caller] | {"Accept-Language": "en"})
        answer = await spoken(base, "GET", ground.named(path), headers)
        if answer.status != status:
            wrong.append(f"{path}: {answer.status}, not {status}")
    for odd in ODD_HEADERS:
        answer = await spoken(ground.city.url("intake", ""), "GET", "/report", encoded(dict(odd)))
        if (answer.status, answer.headers["content-type"][:9]) != (200, "text/html"):
            wrong.append(f"{odd}: {answer.status}")
    assert not wrong, "\n".join(wrong)


async def test_what_is_hardly_http(city: City) -> None:
    wrong = []
    for name, sent in RAW.items():
        answer = await Answer.to(city.url("intake", ""), sent)
        if answer is not None and answer.status not in (400, 431):
            wrong.append(f"{name}: {answer.status}")
    assert not wrong, "\n".join(wrong)


async def test_one_bad_among_five_hundred(city: City) -> None:
    """The others are taken, and become cases; the bad one is told what is wrong with it."""
    name = f"hostile-{uuid.uuid4()}"
    items: list[Any] = [report(source_id=f"{name}-{n}") for n in range(500)]
    items[BAD_IN_THE_MIDDLE] = report(source_id=f"{name}-bad", text=7)
    answer = await city.post("app", items)
    assert answer.status_code == 202
    document = answer.json()
    assert (document["taken"], document["refused"]) == (499, 1)
    assert [n for n, item in enumerate(document["items"]) if item["status"] != 202] == [
        BAD_IN_THE_MIDDLE
    ]
    (error,) = document["items"][BAD_IN_THE_MIDDLE]["errors"]
    assert error["pointer"] == "/text"
    await city.case_of(document["items"][-1]["receipt"])
    intake = await city.database("intake")

    async def all_read() -> bool:
        count = await intake.fetchval(
            "SELECT count(*) FROM report WHERE source_id LIKE $1 || '-%'", name
        )
        return bool(count == 499)

    await city.until(all_read, "report for each of the others")


async def test_the_same_id_with_another_body(city: City) -> None:
    """The first counts; the second gets the same receipt and is kept for a person to look at."""
    source_id = f"hostile-{uuid.uuid4()}"
    receipt = await city.report(source_id, text="路灯不亮")
    await city.case_of(receipt)
    assert await city.report(source_id, text="井盖松动") == receipt
    intake = await city.database("intake")

    async def kept() -> list[str]:
        rows = await intake.fetch(
            "SELECT l.outcome FROM later_record l JOIN report r USING (report_id)"
            " WHERE r.source_id = $1",
            source_id,
        )
        return [row[0] for row in rows]

    assert await city.until(kept, "conflict") == ["conflict"]


async def test_more_than_is_declared_and_less(city: City) -> None:
    """A body without a length is cut off at its limit; one that ends too early harms nobody."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"["
        for _ in range(9):
            yield b" " * 1024 * 1024

    url = city.url("intake", "/channels/app/reports")
    headers = city.credentials.channel("app")
    answer = await city.http.post(url, content=endless(), headers=headers)
    assert wrong_with(answer, 413, LARGE) is None
    for path in ("/channels/app/reports", "/report", "/api/intake/v1/lookup"):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"{'X-API-Key: ' + headers['X-API-Key'] if 'channels' in path else 'X: x'}\r\n\r\n{{"
        )
        answers = await asyncio.gather(
            *(Answer.to(city.base("intake", path), head.encode(), leave=True) for _ in range(5))
        )
        assert {answer and answer.status for answer in answers} <= {None, 400, 401}
