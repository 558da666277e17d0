"""Requests as spans: by their route's pattern, in the caller's trace, without what is secret."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from opentelemetry.trace import SpanKind, StatusCode
from starlette.responses import StreamingResponse
from tests.support.spans import context_of, kept_spans, parent_of

from lastmetre.common.telemetry.timing import MeasuredRequests
from lastmetre.common.telemetry.traces import TRACES

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "a-receipt-nobody-may-see"


def application(seen: list[str | None]) -> FastAPI:
    router = APIRouter()

    @router.get("/progress/{token}")
    async def progress(token: str, request: Request) -> str:
        seen.append(request.headers.get("traceparent"))
        if token == "broken":
            raise RuntimeError("13800138000")
        return token

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            seen.append(TRACES.current())
            yield "part"

        return StreamingResponse(parts())

    app = FastAPI()
    app.include_router(router)
    return app


@pytest.fixture
def seen() -> list[str | None]:
    """The contexts that the application has seen."""
    return []


@pytest.fixture
def client(seen: list[str | None]) -> Callable[[], httpx.AsyncClient]:
    def opened() -> httpx.AsyncClient:
        app = TRACES.requests(MeasuredRequests(application(seen), "tests"))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    return opened


async def test_a_request_is_a_span_of_its_caller(
    client: Callable[[], httpx.AsyncClient], seen: list[str | None]
) -> None:
    async with kept_spans() as kept, client() as http:
        answer = await http.get(
            f"/progress/{SECRET}", params={"phone": SECRET}, headers={"traceparent": CALLER}
        )
    [span] = kept.all()
    assert answer.json() == SECRET
    assert (span.name, span.kind) == ("GET /progress/{token}", SpanKind.SERVER)
    assert parent_of(span) == CALLER.split("-")[2]
    assert seen == [context_of(span)]
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/progress/{token}",
        "url.scheme": "http",
    }
    assert SECRET not in span.to_json()


@pytest.mark.parametrize("sent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "é"])
async def test_a_caller_who_sends_nonsense_begins_a_trace(
    client: Callable[[], httpx.AsyncClient], seen: list[str | None], sent: str
) -> None:
    async with kept_spans() as kept, client() as http:
        raw = [(b"traceparent", sent.encode("latin-1"))]
        assert (await http.get("/progress/x", headers=raw)).status_code == 200
    [span] = kept.all()
    assert parent_of(span) is None
    assert seen == [context_of(span)]


async def test_a_request_that_fails_says_so_and_no_more(
    client: Callable[[], httpx.AsyncClient],
) -> None:
    async with kept_spans() as kept, client() as http:
        assert (await http.get("/progress/broken")).status_code == 500
        assert (await http.get("/nowhere")).status_code == 404
        assert (await http.request("BREW", f"/{SECRET}")).status_code == 404
    broken, nowhere, unknown = kept.all()
    assert broken.status.status_code is StatusCode.ERROR
    assert (broken.attributes or {})["http.response.status_code"] == 500
    assert "13800138000" not in broken.to_json()
    assert nowhere.name == "GET none"
    assert nowhere.status.status_code is not StatusCode.ERROR
    assert unknown.name == "other none"
    assert SECRET not in unknown.to_json()


async def test_a_span_ends_where_an_answer_begins(
    client: Callable[[], httpx.AsyncClient], seen: list[str | None]
) -> None:
    """What a stream does for hours belongs to no trace."""
    async with kept_spans() as kept, client() as http:
        assert (await http.get("/stream")).text == "part"
    assert [each.name for each in kept.all()] == ["GET /stream"]
    assert seen == [None]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_health_and_figures_are_no_spans(
    client: Callable[[], httpx.AsyncClient], path: str
) -> None:
    async with kept_spans() as kept, client() as http:
        await http.get(path)
    assert kept.all() == []


async def test_a_call_carries_its_own_span(seen: list[str | None]) -> None:
    """To a service that is not there: what would have been sent is seen by a hook."""

    async def sent(request: httpx.Request) -> None:
        seen.append(str(request.url))

    async with kept_spans() as kept:
        transport = TRACES.transport()
        assert transport is not None
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, event_hooks={"request": [sent]}
        ) as http:
            request = http.build_request("POST", f"http://127.0.0.1:1/{SECRET}")
            with TRACES.span("outside", "internal"), pytest.raises(httpx.ConnectError):
                await http.send(request)
    call, outside = kept.all()
    assert seen == [f"http://127.0.0.1:1/{SECRET}"]
    assert request.headers["traceparent"] == context_of(call)
    assert parent_of(call) == context_of(outside).split("-")[2]
    assert (call.name, call.kind) == ("POST", SpanKind.CLIENT)
    assert call.attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": 1,
        "error.type": "ConnectError",
    }


def test_without_spans_nothing_stands_between() -> None:
    app = FastAPI()
    assert TRACES.requests(app) is app
    assert TRACES.transport() is None
