"""A page that nobody has signed in for leads to the sign-in; what a program asks is refused."""

import pytest
from fastapi import Request, Response
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow, guard
from lastmetre.common.security.callers import SESSION_COOKIE, Role
from lastmetre.common.security.sign_in import SignInPlace
from lastmetre.common.service.clock import RealClock
from lastmetre.common.web import problems
from lastmetre.common.web.kit import Pages
from lastmetre.dispatch.entrypoints.web.sign_in import sign_in_router
from tests.support.authenticators import authenticator
from tests.unit.web.conftest import PUBLIC_URLS, MakePages, guarded_app

STAFF = "https://staff.example"
PAGE = {"Accept": "text/html,application/xhtml+xml"}
NAVIGATED = PAGE | {"Sec-Fetch-Mode": "navigate"}


def browser(*, always: bool) -> TestClient:
    app = guarded_app()

    @app.api_route("/work", methods=["GET", "POST"], dependencies=allow(Role.LEAD))
    async def work() -> None: ...

    problems.install(app)
    app.include_router(sign_in_router(STAFF, f"{STAFF}/"))
    guard(app, authenticator(b"k" * 32, service_keys={}, channel_keys={}, clock=RealClock()))
    app.state.sign_in = SignInPlace(STAFF, f"{STAFF}/", always)
    return TestClient(app, base_url=STAFF, follow_redirects=False)


@pytest.mark.parametrize(
    ("method", "headers", "led"),
    [
        ("GET", NAVIGATED, True),
        ("GET", PAGE, True),  # a browser of before 2023
        ("GET", PAGE | {"Sec-Fetch-Mode": "cors"}, False),
        ("GET", PAGE | {"HX-Request": "true"}, False),
        ("GET", {"Accept": "text/event-stream"}, False),
        ("GET", {"Accept": "*/*"}, False),
        ("GET", {}, False),
        ("POST", NAVIGATED, False),  # what was typed would be lost on the way
    ],
)
def test_pages_lead_to_the_sign_in(method: str, headers: dict[str, str], led: bool) -> None:
    answer = browser(always=True).request(method, "/work?lang=en", headers=headers)
    if led:
        back = "https%3A%2F%2Fstaff.example%2Fwork%3Flang%3Den"
        assert answer.headers["location"] == f"{STAFF}/sign-in?next={back}"
        assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code == (303 if led else 401)


@pytest.mark.parametrize(("cookies", "status"), [({}, 401), ({SESSION_COOKIE: "x"}, 303)])
def test_with_development_tokens_only_who_has_signed_in_before_is_led_there(
    cookies: dict[str, str], status: int
) -> None:
    named = {f"__Host-{name}": value for name, value in cookies.items()}
    client = browser(always=False)
    client.cookies.update(named)
    assert client.get("/work", headers=NAVIGATED).status_code == status


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        (
            "/work/open/abc234?case=261122-0418583",
            "/sign-in/link/abc234?next=https%3A%2F%2Fstaff.example%2Fcases%2F261122-0418583",
        ),
        ("/work/open/abc234", "/sign-in/link/abc234?next=https%3A%2F%2Fstaff.example%2Fwork"),
        (
            "/work/open/a%3Fb%23c?case=//x",
            "/sign-in/link/a%3Fb%23c?next=https%3A%2F%2Fstaff.example%2Fwork",
        ),
    ],
)
def test_the_link_of_a_message_leads_to_the_sign_in_too(link: str, leads_to: str) -> None:
    answer = browser(always=True).get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, STAFF + leads_to)


PAGE_OF: dict[str, str] = {
    "centre": '{% block title %}x{% endblock %}{% block main %}x{% endblock %}',
    "board": '{% block title %}x{% endblock %}{% block subtitle %}x{% endblock %}'
    '{% block main %}x{% endblock %}',
    "lead": '{% block title %}x{% endblock %}{% block subtitle %}x{% endblock %}'
    '{% block main %}x{% endblock %}{% block tabs %}{% endblock %}',
}  # fmt: skip


@pytest.mark.parametrize("layout", PAGE_OF)
@pytest.mark.parametrize("sign_in_url", ["", f"{STAFF}/sign-in"])
def test_staffs_pages_renew_their_sign_in_and_show_it(
    make_pages: MakePages, layout: str, sign_in_url: str
) -> None:
    text = f'{{% extends "kit/{layout}.html" %}}' + PAGE_OF[layout]
    make_pages({"entrypoints/web/templates/page.html": text, "entrypoints/web/static/x.css": ""})
    pages = Pages(
        "sampleservice",
        static_path="/work/static",
        time_zone="Asia/Shanghai",
        city_names={"zh": "云桥市", "en": "Yunqiao"},
        public_urls=PUBLIC_URLS,
        sign_in_url=sign_in_url,
    )
    app = guarded_app()

    @app.get("/work", dependencies=allow(Anyone()))
    async def show(request: Request) -> Response:
        return pages.render(request, "page.html", {})

    page = TestClient(app).get("/work?lang=en").text
    assert ("/kit/js/renew.js" in page) == bool(sign_in_url)
    assert (f'href="{STAFF}/sign-in">Your sign-in</a>' in page) == bool(sign_in_url)
