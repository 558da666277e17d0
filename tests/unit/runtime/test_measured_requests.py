"""What is observed of requests: their route's pattern, never what somebody wrote."""

from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from lastmetre.common.telemetry.timing import MeasuredRequests

COUNT = "lastmetre_http_request_duration_seconds_count"


def series(service: str) -> dict[tuple[str, str, str], float]:
    """How many requests were observed, by method, route and status."""
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == COUNT and sample.labels["service"] == service
    }


async def static(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("body { }")(scope, receive, send)


def application() -> FastAPI:
    router = APIRouter()

    @router.get("/progress/{token}")
    async def progress(token: str) -> str:
        if token == "broken":
            raise RuntimeError
        return token

    app = FastAPI()
    app.include_router(router)
    app.mount("/report/static", static)
    return app


@pytest.fixture
def service() -> str:
    return f"service-{uuid4()}"


def client(service: str) -> httpx.AsyncClient:
    measured = MeasuredRequests(application(), service, [("GET", "/progress/{token}")])
    transport = httpx.ASGITransport(measured, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_a_route_is_its_pattern_and_a_status_its_class(service: str) -> None:
    async with client(service) as http:
        for path in ("/progress/a-secret", "/progress/another"):
            assert (await http.get(path)).status_code == 200
        assert (await http.post("/progress/a-secret")).status_code == 405
        assert (await http.get("/progress/broken")).status_code == 500
    assert series(service) == {
        ("GET", "/progress/{token}", "2xx"): 2,
        ("POST", "/progress/{token}", "4xx"): 1,
        ("GET", "/progress/{token}", "5xx"): 1,
    }


async def test_nobody_makes_series_by_what_he_asks_for(service: str) -> None:
    async with client(service) as http:
        for _ in range(3):
            assert (await http.get(f"/{uuid4()}")).status_code == 404
            assert (await http.get(f"/report/static/{uuid4()}")).status_code == 200
            assert (await http.request(f"M{uuid4().hex}", "/nothing")).status_code == 404
    assert series(service) == {
        ("GET", "/progress/{token}", "5xx"): 0,
        ("GET", "none", "4xx"): 3,
        ("GET", "/report/static", "2xx"): 3,
        ("other", "none", "4xx"): 3,
    }


async def test_errors_of_a_route_begin_at_nothing(service: str) -> None:
    client(service)
    assert series(service) == {("GET", "/progress/{token}", "5xx"): 0}
