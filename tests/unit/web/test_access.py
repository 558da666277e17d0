"""Route by principal, asked over HTTP: who gets in, who gets 401, who 403."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from lastmetre.common.security.access import (
    Anyone,
    CallingService,
    ChannelKey,
    CurrentPerson,
    GuardedRoute,
    SecretLink,
    ServiceKey,
    UndeclaredAccess,
    allow,
    declared_access,
    guard,
    open_to_anyone,
)
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import (
    TOKEN_COOKIE,
    ChannelCaller,
    Role,
)
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.clock import RealClock
from lastmetre.common.web import problems
from tests.support.authenticators import authenticator as authenticator_of
from tests.unit.web.conftest import guarded_app

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime.now(UTC)


def token(role: Role, key: bytes = KEY, lifetime: timedelta = timedelta(hours=1)) -> str:
    lead_id = "L017" if role is Role.LEAD else None
    return issue_token(key, "somebody", role, lead_id, NOW, lifetime)


def make_app() -> FastAPI:
    app = guarded_app()
    centre = APIRouter(prefix="/centre", route_class=GuardedRoute)

    @app.post("/channels/{channel}/reports", dependencies=allow(ChannelKey()))
    async def take(request: Request) -> dict[str, str]:
        return {"actor": request.state.principal.actor}

    @app.get("/contacts", dependencies=allow(ServiceKey("notify", "dispatch")))
    async def contacts(service: CallingService) -> dict[str, str]:
        return {"actor": service.actor}

    @centre.get("", dependencies=allow(Role.OPERATOR, Role.ADMINISTRATOR))
    async def queue(person: CurrentPerson) -> dict[str, str]:
        return {"actor": person.actor}

    @app.get("/work/cases", dependencies=allow(Role.LEAD))
    async def cases(person: CurrentPerson) -> dict[str, str]:
        return {"actor": person.actor}

    @app.post("/work/cases", dependencies=allow(Role.LEAD))
    async def act(person: CurrentPerson) -> dict[str, str]:
        return {"actor": person.actor}

    @app.get("/progress/{secret}", dependencies=allow(SecretLink()))
    async def progress(request: Request) -> dict[str, bool]:
        return {"nobody": request.state.principal is None}

    @app.get("/livez", dependencies=allow(Anyone()))
    async def alive() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/nobody", dependencies=allow())
    async def nobody() -> None:
        raise AssertionError("nobody may get here")

    app.include_router(centre)
    problems.install(app)
    guard(
        app,
        authenticator_of(
            KEY,
            service_keys={
                "notify": [key_digest("notify-key")],
                "metrics": [key_digest("metrics-key"), key_digest("next-metrics-key")],
            },
            channel_keys={
                key_digest("hotline-key"): ChannelCaller("hotline", "12345"),
                key_digest("app-key"): ChannelCaller("app", "mini"),
            },
            clock=RealClock(),
        ),
    )
    return app


APP = make_app()
CLIENT = TestClient(APP, follow_redirects=False)


@pytest.fixture(autouse=True)
def _no_cookies_left() -> None:
    CLIENT.cookies.clear()


CALLERS: dict[str, dict[str, str]] = {
    "nobody": {},
    "hotline": {"X-API-Key": "hotline-key"},
    "app": {"X-API-Key": "app-key"},
    "notify": {"Authorization": "Bearer notify-key"},
    "metrics": {"Authorization": "bearer metrics-key"},
    **{role.value: {"Authorization": f"Bearer {token(role)}"} for role in Role},
    "wrong key": {"X-API-Key": "hotline-keY"},
    "empty key": {"X-API-Key": ""},
    "unknown service": {"Authorization": "Bearer other-key"},
    "digest as key": {"Authorization": f"Bearer {key_digest('notify-key')}"},
    "basic": {"Authorization": "Basic bm90aWZ5OmtleQ=="},
    "bare": {"Authorization": "notify-key"},
    "expired": {"Authorization": f"Bearer {token(Role.OPERATOR, lifetime=timedelta(seconds=-1))}"},
    "forged": {
        "Authorization": f"Bearer {token(Role.OPERATOR, key=b'another key of 32 bytes at least')}"
    },
    "unsigned": {
        "Authorization": "Bearer eyJhbGciOiJub25lIn0."
        "eyJzdWIiOiJ4Iiwicm9sZSI6Im9wZXJhdG9yIiwiZXhwIjo5OTk5OTk5OTk5fQ."
    },
}
KNOWN = ("hotline", "app", "notify", "metrics", *(role.value for role in Role))
ROUTES: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/channels/hotline/reports"): ("hotline",),
    ("POST", "/channels/app/reports"): ("app",),
    ("POST", "/channels/unknown/reports"): (),
    ("GET", "/contacts"): ("notify",),
    ("GET", "/centre"): ("operator", "administrator"),
    ("GET", "/work/cases"): ("lead",),
    ("POST", "/work/cases"): ("lead",),
    ("GET", "/progress/abc"): tuple(CALLERS),
    ("GET", "/livez"): tuple(CALLERS),
    ("GET", "/nobody"): (),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_for_every_caller(route: tuple[str, str], caller: str) -> None:
    answer = CLIENT.request(*route, headers=CALLERS[caller])
    expected = 200 if caller in ROUTES[route] else 403 if caller in KNOWN else 401
    assert answer.status_code == expected
    if expected == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if expected != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == expected


def test_an_api_key_counts_before_a_token() -> None:
    headers = CALLERS["operator"] | CALLERS["hotline"]
    assert CLIENT.get("/centre", headers=headers).status_code == 403


def test_actors_as_the_ledger_names_them() -> None:
    def actor(method: str, path: str, caller: str) -> str:
        answer = CLIENT.request(method, path, headers=CALLERS[caller])
        return str(answer.json()["actor"])

    assert actor("GET", "/work/cases", "lead") == "lead:L017"
    assert actor("GET", "/centre", "operator") == "operator:somebody"
    assert actor("GET", "/contacts", "notify") == "service:notify"
    assert actor("POST", "/channels/app/reports", "app") == "channel:app/mini"


@pytest.mark.parametrize("value", ["not a token", "a.b.c", "..", "é.é.é", "{}"])
def test_rubbish_for_a_token_is_no_credential(value: str) -> None:
    raw = {"Authorization": f"Bearer {value}".encode()}
    assert CLIENT.get("/centre", headers=raw).status_code == 401


def test_a_page_link_leaves_a_cookie_and_no_token_in_the_address() -> None:
    lead = token(Role.LEAD)
    answer = CLIENT.get("/work/cases", params={"token": lead, "page": "2"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/work/cases?page=2"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{TOKEN_COOKIE}={lead};")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/work" in cookie, "roles side by side in one browser"
    assert "Secure" not in cookie
    with TestClient(APP, cookies={TOKEN_COOKIE: lead}) as browser:
        assert browser.get("/work/cases").status_code == 200


def test_one_link_opens_what_the_pages_of_that_role_link_to() -> None:
    answer = CLIENT.get("/centre", params={"token": token(Role.OPERATOR)})
    paths = [re.search(r"Path=(\S+);", each) for each in answer.headers.get_list("set-cookie")]
    assert [path[1] for path in paths if path] == ["/board", "/cases", "/centre", "/messages"]


def test_a_page_link_over_https_leaves_a_secure_cookie() -> None:
    client = TestClient(APP, base_url="https://city.example", follow_redirects=False)
    answer = client.get("/work/cases", params={"token": token(Role.LEAD)})
    assert "Secure" in answer.headers["set-cookie"]


def test_a_page_link_for_others_opens_nothing() -> None:
    assert CLIENT.get("/centre", params={"token": token(Role.LEAD)}).status_code == 403
    assert CLIENT.get("/centre", params={"token": "bad"}).status_code == 401
    assert CLIENT.post("/work/cases", params={"token": token(Role.LEAD)}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "http://testserver:81"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_form_with_the_cookie_must_come_from_our_own_page(
    headers: dict[str, str], status: int
) -> None:
    with TestClient(APP, cookies={TOKEN_COOKIE: token(Role.LEAD)}) as browser:
        assert browser.post("/work/cases", headers=headers).status_code == status
        assert browser.get("/work/cases", headers=headers).status_code == 200


def test_a_program_with_a_bearer_token_needs_no_origin() -> None:
    headers = CALLERS["lead"] | {"Sec-Fetch-Site": "cross-site"}
    assert CLIENT.post("/work/cases", headers=headers).status_code == 200


def test_declared_access_lists_each_route_with_its_rules() -> None:
    declared = {route.path: route for route in declared_access(APP)}
    assert declared["/centre"].rules == (Role.OPERATOR, Role.ADMINISTRATOR)
    assert declared["/contacts"].rules == (ServiceKey("notify", "dispatch"),)
    assert declared["/channels/{channel}/reports"].methods == {"POST"}
    assert len(declared) == 7


def test_a_route_without_a_declaration_cannot_be_made() -> None:
    app = guarded_app()
    with pytest.raises(UndeclaredAccess, match=r"/open .*forgot"):

        @app.get("/open")
        async def forgot() -> None: ...


def test_an_application_with_an_unguarded_route_does_not_start() -> None:
    authenticator = authenticator_of(KEY, service_keys={}, channel_keys={}, clock=RealClock())

    async def plain(request: Request) -> Response:
        return JSONResponse({})

    unguarded = FastAPI(openapi_url=None)
    unguarded.get("/undeclared")(plain)
    with pytest.raises(UndeclaredAccess):
        guard(unguarded, authenticator)

    app = guarded_app()
    app.router.routes.append(Route("/plain", plain))
    with pytest.raises(UndeclaredAccess):
        guard(app, authenticator)
    opened = guarded_app()
    opened.router.routes.append(Route("/plain", open_to_anyone(plain)))
    guard(opened, authenticator)

    with pytest.raises(UndeclaredAccess):
        guard(FastAPI(), authenticator)  # its own documentation pages declare nothing


def test_open_rules_stand_alone() -> None:
    with pytest.raises(ValueError, match="cannot be combined"):
        allow(Anyone(), Role.LEAD)
