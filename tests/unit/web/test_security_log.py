"""The security log names who was refused and what administrators did, and nothing personal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Request
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from lastmetre.common.security.access import SecretLink, allow, guard
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import ChannelCaller, Role
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.clock import RealClock
from lastmetre.common.web import problems
from lastmetre.common.web.problems import Problem
from tests.support.authenticators import authenticator as authenticator_of
from tests.unit.web.conftest import guarded_app

KEY = b"0123456789abcdef0123456789abcdef"


def token(role: Role, subject: str) -> str:
    lead_id = subject if role is Role.LEAD else None
    return issue_token(KEY, subject, role, lead_id, datetime.now(UTC), timedelta(hours=1))


ADMINISTRATOR = {"Authorization": f"Bearer {token(Role.ADMINISTRATOR, 'chen')}"}
OPERATOR = {"Authorization": f"Bearer {token(Role.OPERATOR, 'zhou')}"}


@pytest.fixture
def client() -> TestClient:
    app = guarded_app()

    @app.put("/network", dependencies=allow(Role.ADMINISTRATOR))
    async def network(request: Request) -> dict[str, bool]:
        if request.query_params:
            raise Problem(422, "/problems/outline", "no")
        return {"done": True}

    @app.get("/dead-letters/{letter_id}", dependencies=allow(Role.ADMINISTRATOR))
    async def letter(letter_id: int) -> dict[str, str]:
        if letter_id == 13:
            raise RuntimeError
        return {"body": "13800138000"}

    @app.post(
        "/centre/cases/{case_id}/actions", dependencies=allow(Role.OPERATOR, Role.ADMINISTRATOR)
    )
    async def act(case_id: str) -> dict[str, bool]:
        return {"done": True}

    @app.get("/progress/{secret}", dependencies=allow(SecretLink()))
    async def progress(secret: str) -> dict[str, bool]:
        return {"shown": True}

    problems.install(app)
    channel_keys = {key_digest("k"): ChannelCaller("app", "desk")}
    guard(
        app,
        authenticator_of(KEY, service_keys={}, channel_keys=channel_keys, clock=RealClock()),
    )
    return TestClient(app, raise_server_exceptions=False)


def told(client: TestClient, method: str, path: str, **more: Any) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        client.request(method, path, **more)
    found = [dict(each) for each in lines if each.get("log") == "security"]
    assert not any(secret in str(found) for secret in ("13800138000", "ds4g", KEY.decode(), "eyJ"))
    return [
        {k: v for k, v in each.items() if k not in ("log", "event", "log_level")} for each in found
    ]


def test_who_was_refused(client: TestClient) -> None:
    assert told(client, "PUT", "/network") == [
        {"status": 401, "why": "not_signed_in", "credential": "none", "who": None,
         "method": "PUT", "route": "/network"},
    ]  # fmt: skip
    bad = told(client, "GET", "/dead-letters/7", headers={"Authorization": "Bearer eyJ.x.y"})
    assert [(each["credential"], each["letter_id"]) for each in bad] == [("bearer", "7")]
    assert told(client, "PUT", "/network", headers=OPERATOR) == [
        {"status": 403, "why": "not_allowed", "credential": "bearer", "who": "operator:zhou",
         "method": "PUT", "route": "/network"},
    ]  # fmt: skip
    (key,) = told(client, "PUT", "/network", headers={"X-API-Key": "k"})
    assert (key["who"], key["credential"]) == ("channel:app/desk", "channel key")
    cookies = {"Cookie": f"lastmetre_token={token(Role.OPERATOR, 'zhou')}"}
    (cross,) = told(
        client, "POST", "/centre/cases/5/actions", headers={**cookies, "Origin": "http://evil"}
    )
    assert (cross["why"], cross["credential"], cross["case_id"]) == ("cross_site", "cookie", "5")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/network", 200),
        ("PUT", "/network?wrong=1", 422),
        ("GET", "/dead-letters/7", 200),
        ("GET", "/dead-letters/13", 500),
    ],
)
def test_what_an_administrator_did(client: TestClient, method: str, path: str, status: int) -> None:
    (line,) = told(client, method, path, headers=ADMINISTRATOR)
    assert (line["who"], line["method"], line["status"]) == ("administrator:chen", method, status)
    assert line["route"] == ("/network" if "network" in path else "/dead-letters/{letter_id}")


def test_others_are_in_the_ledger_and_residents_nowhere(client: TestClient) -> None:
    assert told(client, "POST", "/centre/cases/5/actions", headers=OPERATOR) == []
    assert told(client, "GET", "/progress/ds4g") == []
