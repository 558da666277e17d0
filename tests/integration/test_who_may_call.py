"""Who may call what: every route of the running services × every kind of caller.

The table is written from the issue and the page map, not from the code. A route that is not in it
fails the test, and so does a row whose route is gone.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import httpx
import pytest
from fastapi import FastAPI

from lastmetre.common.security.access import declared_access
from lastmetre.common.security.callers import Role
from lastmetre.common.service.ids import IdGenerator
from lastmetre.dispatch import bootstrap as dispatch_main
from lastmetre.dispatch.settings import DispatchSettings
from lastmetre.intake import bootstrap as intake_main
from lastmetre.intake.settings import IntakeSettings
from lastmetre.metrics import bootstrap as metrics_main
from lastmetre.metrics.settings import MetricsSettings
from lastmetre.notify import bootstrap as notify_main
from lastmetre.notify.settings import NotifySettings
from tests.support.callers import Caller, callers
from tests.support.city import City

ANYONE: Final = "anyone"
SECRET: Final = "whoever holds the secret"
"""Open, and 404 without the secret in the path."""
SESSION: Final = "a browser with a session's cookie"
"""No other credential opens it: `sign_in/test_people.py` has the rest."""
LEAD, OPERATOR, SUPERVISOR, ADMINISTRATOR = "lead", "operator", "supervisor", "administrator"
DISPLAY: Final = "display"
CENTRE: Final = f"{OPERATOR} {ADMINISTRATOR}"
WATCHING: Final = f"{CENTRE} {SUPERVISOR}"
STAFF: Final = f"{WATCHING} {LEAD}"
SERVICES: Final = "intake-key dispatch-key notify-key metrics-key"

EVERY_SERVICE: Final = {
    "GET /api/{service}/v1/openapi.json": ANYONE,
    "GET /api/{service}/v1/docs": ANYONE,
    "GET /api/{service}/v1/docs/start.js": ANYONE,
    "GET /api/{service}/v1/docs/static": ANYONE,
}
EVERY_ADMIN_PORT: Final = {
    "GET /livez": ANYONE,
    "GET /readyz": ANYONE,
    "GET /metrics": ANYONE,
    "GET /openapi.json": ANYONE,
    "GET /docs": ANYONE,
    "GET /docs/start.js": ANYONE,
    "GET /docs/static": ANYONE,
    "GET /api/{service}/v1/dead-letters": ADMINISTRATOR,
    "GET /api/{service}/v1/dead-letters/{letter_id}": ADMINISTRATOR,
    "POST /api/{service}/v1/dead-letters/{letter_id}/replay": ADMINISTRATOR,
    "POST /api/{service}/v1/dead-letters/{letter_id}/close": ADMINISTRATOR,
    "GET /api/{service}/v1/stopped-senders": ADMINISTRATOR,
    "POST /api/{service}/v1/stopped-senders/release": ADMINISTRATOR,
}
ON_ADMIN_PORT: Final = {
    "intake": {
        "POST /api/intake/v1/contacts": "notify-key",
        "POST /api/intake/v1/texts": "dispatch-key",
        "POST /api/intake/v1/contacts/look": "dispatch-key",
        "POST /api/intake/v1/notes": "dispatch-key",
        "POST /api/intake/v1/notes/look": "dispatch-key",
        "POST /api/intake/v1/notes/take-back": "dispatch-key",
        "PUT /api/intake/v1/lead-contacts": ADMINISTRATOR,
        "POST /api/intake/v1/lookup": f"{ADMINISTRATOR} {SERVICES}",
    },
    "notify": {
        "GET /api/notify/v1/cases/{case_id}/messages/texts": "dispatch-key",
        "POST /api/notify/v1/test-messages": ADMINISTRATOR,
    },
}
MAY_CALL: Final[Mapping[str, Mapping[str, str]]] = {
    "intake": {
        "POST /channels/hotline/reports": "hotline-key",
        "POST /channels/app/reports": "app-key",
        "POST /channels/patrol/reports": "patrol-key",
        "GET /channels/hotline/reports/{source_id:rest}": "hotline-key",
        "GET /channels/app/reports/{source_id:rest}": "app-key",
        "GET /channels/patrol/reports/{source_id:rest}": "patrol-key",
        "POST /channels/hotline/photos": "hotline-key",
        "POST /channels/app/photos": "app-key",
        "POST /channels/patrol/photos": "patrol-key",
        "GET /cases/{receipt}": SECRET,
        "GET /": ANYONE,
        "GET /report": ANYONE,
        "POST /report": ANYONE,
        "GET /report/sent/{secret}": SECRET,
        "GET /report/static": ANYONE,
        "GET /progress": ANYONE,
        "POST /progress": ANYONE,
        "POST /progress/{secret}": SECRET,
        "GET /progress/{secret}": SECRET,
        "GET /progress/{secret}/events": SECRET,
        "GET /progress/case/{secret}": SECRET,
        "GET /progress/{secret}/photos/{photo_id}": SECRET,
        "GET /progress/{secret}/photos/{photo_id}/thumbnail": SECRET,
        # They look at the session's cookie by themselves, which nothing else opens.
        "GET /sign-in": ANYONE,
        "GET /sign-in/callback": ANYONE,
        "GET /sign-in/link/{secret}": SECRET,
        "POST /sign-in/token": ANYONE,
        "GET /sign-in/provider": ANYONE,
        "POST /sign-in/password": ANYONE,
        "GET /sign-in/change-password": ANYONE,
        "POST /sign-in/change-password": SESSION,
        "POST /sign-in/ended": ANYONE,
        "POST /sign-in/renew": SESSION,
        "POST /sign-in/role": SESSION,
        "POST /sign-in/revoke": SESSION,
        "GET /sign-in/signed-out": ANYONE,
        "GET /sign-in/displays": ANYONE,
        "POST /sign-in/displays": SESSION,
        "POST /sign-in/displays/revoke": SESSION,
        "GET /sign-in/display/{secret}": SECRET,
        "POST /sign-in/display/{secret}": SECRET,
        "POST /sign-out": ANYONE,
    },
    "dispatch": {
        "GET /work": LEAD,
        "GET /work/rows": LEAD,
        "GET /work/events": LEAD,
        # Intake knows whether the secret is good.
        "GET /work/open/{secret}": ANYONE,
        "GET /work/cases/{known_as}/actions": LEAD,
        "POST /work/cases/{known_as}/actions": STAFF,
        "POST /work/cases/{known_as}/actions/held": STAFF,
        "POST /work/held/{action_id}": LEAD,
        "POST /work/refused/{action_id}": LEAD,
        "GET /work/static": ANYONE,
        "GET /centre": CENTRE,
        "GET /centre/list": CENTRE,
        "GET /centre/events": CENTRE,
        "GET /centre/{known_as}/panes": CENTRE,
        "GET /centre/cases/{known_as}": WATCHING,
        "GET /centre/cases/{known_as}/actions": CENTRE,
        "POST /centre/cases/{known_as}/actions": CENTRE,
        "POST /centre/cases/{known_as}/actions/held": CENTRE,
        "POST /centre/held/{action_id}": CENTRE,
        "POST /centre/refused/{action_id}": CENTRE,
        "GET /cases": WATCHING,
        "GET /cases/list": WATCHING,
        "GET /cases/events": WATCHING,
        "GET /cases/{known_as}/panes": WATCHING,
        "GET /cases/{known_as}": STAFF,
        "GET /cases/{known_as}/join": CENTRE,
        "POST /cases/{known_as}/contact": STAFF,
        "GET /cases/{known_as}/actions": STAFF,
        "POST /cases/{known_as}/actions": STAFF,
        "POST /cases/{known_as}/actions/held": STAFF,
        "POST /cases/held/{action_id}": STAFF,
        "POST /cases/refused/{action_id}": STAFF,
        "POST /api/dispatch/v1/cases/{known_as}/actions": STAFF,
        "GET /network": STAFF,
        "PUT /network": ADMINISTRATOR,
        "GET /api/dispatch/v1/cases/{known_as}": f"{WATCHING} intake-key metrics-key",
    },
    "notify": {
        "GET /": ANYONE,
        "GET /rate/{token}": SECRET,
        "POST /rate/{token}": SECRET,
        "POST /rate/{token}/reopen": SECRET,
        "POST /api/notify/v1/ratings/{token}": SECRET,
        "GET /rate/static": ANYONE,
        "GET /messages/log": WATCHING,
        "GET /messages/{case_id}/{message_id}/again": CENTRE,
        "POST /messages/{case_id}/{message_id}/again": CENTRE,
        "POST /api/notify/v1/cases/{case_id}/messages/{first_id}/again": CENTRE,
        "GET /api/notify/v1/cases/{case_id}/messages": f"{WATCHING} {SERVICES}",
    },
    "metrics": {
        "GET /indicators": f"{WATCHING} {SERVICES} prometheus-key",
        "GET /api/metrics/v1/cases/{case_id}": f"{WATCHING} {SERVICES}",
        "GET /api/metrics/v1/facts": f"{WATCHING} {SERVICES}",
        "GET /board": WATCHING,
        "GET /board/live": f"{WATCHING} {DISPLAY}",
        "GET /board/events": f"{WATCHING} {DISPLAY}",
        "GET /board/wall": f"{WATCHING} {DISPLAY}",
        "GET /board/how": ANYONE,
        "GET /board/static": ANYONE,
    },
}

APPLICATIONS: Final[Mapping[str, Callable[[], FastAPI]]] = {
    "intake": lambda: intake_main.build(IntakeSettings()),
    "dispatch": lambda: dispatch_main.create_app(DispatchSettings()),
    "notify": lambda: notify_main.create_app(NotifySettings()),
    "metrics": lambda: metrics_main.create_app(MetricsSettings()),
}


def expected(service: str, allowed: str, caller: Caller) -> set[int] | None:
    """The statuses that a caller may get; None: anything but a refusal."""
    if allowed == SECRET:
        return {404}
    if allowed == SESSION:
        return {401, 422}  # 422: nothing was sent along
    if allowed == ANYONE or caller.name in allowed.split():
        return None
    known = caller.known and (service == "intake" or "X-API-Key" not in caller.headers)
    return {403} if known else {401}


def rows(service: str, *, admin: bool) -> dict[str, str]:
    every = EVERY_ADMIN_PORT if admin else EVERY_SERVICE
    own = ON_ADMIN_PORT.get(service, {}) if admin else MAY_CALL[service]
    return {row.replace("{service}", service): who for row, who in every.items()} | dict(own)


@pytest.mark.parametrize("admin", [False, True], ids=["public", "admin"])
@pytest.mark.parametrize("service", MAY_CALL)
def test_every_route_has_a_row(
    service: str, admin: bool, as_started: Callable[[str], None]
) -> None:
    as_started(service)
    application = APPLICATIONS[service]()
    routes = {
        f"{method} {path}"
        for route in declared_access(application.state.admin if admin else application)
        for method in route.methods
        for path in (
            [route.path.replace("{channel}", each) for each in ("hotline", "app", "patrol")]
            if "{channel}" in route.path
            else [route.path]
        )
    }
    assert routes == set(rows(service, admin=admin))


@pytest.mark.parametrize("admin", [False, True], ids=["public", "admin"])
@pytest.mark.parametrize("service", MAY_CALL)
async def test_who_may_call_what(service: str, admin: bool, city: City) -> None:
    """Nothing is sent along, so whoever gets in changes nothing: he is told that it is missing."""
    somebody = str(IdGenerator().uuid7(datetime.now(UTC)))
    everybody = list(callers(city))
    wrong: list[str] = []
    base = city.endpoints["admin"][service][0] if admin else city.url(service, "")
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        for row, allowed in rows(service, admin=admin).items():
            method, path = row.split()
            path = path.replace("{letter_id}", "999999")
            path = re.sub(r"\{\w+(:rest)?\}", somebody, path)
            for caller in everybody:
                # Only how it begins: a stream of events has no end.
                async with client.stream(method, path, headers=dict(caller.headers)) as answer:
                    status, may = answer.status_code, expected(service, allowed, caller)
                if status >= 500 or (status in (401, 403) if may is None else status not in may):
                    wrong.append(f"{row} as {caller.name}: {status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("service", MAY_CALL)
async def test_neither_port_answers_for_the_other(service: str, city: City) -> None:
    public, admin = city.url(service, ""), city.endpoints["admin"][service][0]
    for base, other in ((public, True), (admin, False)):
        for row in rows(service, admin=other):
            method, path = row.split()
            if "/docs" in path or "openapi" in path:
                continue
            path = re.sub(r"\{\w+(:rest)?\}", "1", path)
            answer = await city.http.request(method, f"{base}{path}")
            assert answer.status_code in (404, 405), f"{base}{path}"


async def test_a_link_opens_pages_and_no_more(city: City) -> None:
    """The token in a page's address becomes a cookie; it changes nothing by itself."""
    token = city.bearer(Role.LEAD, "L0")["Authorization"].removeprefix("Bearer ")
    case_id = IdGenerator().uuid7(datetime.now(UTC))
    opened = await city.http.get(city.url("dispatch", f"/work?token={token}"))
    assert (opened.status_code, opened.headers["location"]) == (303, "/work")
    cookie = opened.headers["set-cookie"].split(";")[0]
    city.http.cookies.clear()
    for method, path, status in (
        ("GET", f"/centre?token={token}", 403),
        ("POST", f"/work/cases/{case_id}/actions?token={token}", 401),
    ):
        answer = await city.http.request(method, city.url("dispatch", path))
        assert answer.status_code == status, path
    # Another site's form comes with the cookie, too: the browser says where it came from.
    for site, status in (("cross-site", 403), ("same-origin", 404)):
        answer = await city.http.post(
            city.url("dispatch", f"/work/cases/{case_id}/actions"),
            headers={"Cookie": cookie, "Sec-Fetch-Site": site},
            data={"action": "accept"},
        )
        assert answer.status_code == status, site
