"""The way past the framework's layers: the same guard, the same answers to what goes wrong."""

import logging
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from fastapi import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, ChannelKey, allow, guard
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.tokens import DevelopmentAuthenticator, key_digest
from lastmetre.common.web.hot import HotPaths
from lastmetre.common.web.problems import Problem
from tests.unit.web.conftest import guarded_app

PHONE = "13900001234"
KEY = {"X-API-Key": "hotline-key"}


@allow(ChannelKey())
async def hot(request: Request) -> Response:
    match await request.body():
        case b"refuse":
            raise Problem(422, "/problems/invalid", "Something is not right")
        case b"break":
            raise RuntimeError(f"cannot read {PHONE}")
        case _:
            return JSONResponse(dict(request.path_params), 202)


@pytest.fixture
def client() -> TestClient:
    app = guarded_app()

    @app.get("/channels/hotline/reports")
    @allow(Anyone())
    async def cold(_: Request) -> Response:
        return Response(b"cold")

    clock = Mock(now=lambda: datetime.now(UTC))
    channel_keys = {key_digest("hotline-key"): ChannelCaller("hotline", "12345")}
    guard(
        app,
        DevelopmentAuthenticator(
            b"0" * 32, service_keys={}, channel_keys=channel_keys, clock=clock
        ),
    )
    paths = {"/channels/hotline/reports": {"channel": "hotline"}}
    return TestClient(HotPaths(app, endpoint=hot, paths=paths))


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        ("POST", "take", KEY, 202),
        ("POST", "take", {}, 401),
        ("POST", "take", {"X-API-Key": "other"}, 401),
        ("POST", "refuse", KEY, 422),
        ("POST", "break", KEY, 500),
        ("GET", "", {}, 200),
    ],
)
def test_each_is_answered(
    client: TestClient, method: str, body: str, headers: dict[str, str], status: int
) -> None:
    answer = client.request(method, "/channels/hotline/reports", content=body, headers=headers)
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    if method == "POST":
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_nobody_foresaw_is_logged_without_its_message(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.post("/channels/hotline/reports", content="break", headers=KEY)
    assert answer.json()["reference"] in caplog.text
    assert PHONE not in caplog.text + answer.text
