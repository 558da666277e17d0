"""Links that sign in: by TLS only the host itself sets cookies, and no other site signs in."""

from http.cookies import SimpleCookie

import pytest
from starlette.testclient import TestClient

from lastmetre.common.security.callers import TOKEN_COOKIE, Role
from lastmetre.common.web import problems
from tests.unit.web.conftest import MakePages
from tests.unit.web.test_access import APP, make_app, token

TLS = "https://city.example"
HOST_COOKIE = f"__Host-{TOKEN_COOKIE}"
LEAD, OTHER = token(Role.LEAD), token(Role.OPERATOR)


def client(base: str = TLS, cookies: dict[str, str] | None = None) -> TestClient:
    return TestClient(APP, base_url=base, cookies=cookies, follow_redirects=False)


def signs_in(path: str, link: str, headers: dict[str, str] | None = None) -> bool:
    answer = client().get(path, params={"token": link}, headers=headers)
    assert (answer.status_code == 303) == ("set-cookie" in answer.headers)
    return bool(answer.status_code == 303)


def test_l4_by_tls_cookies_are_the_hosts_own() -> None:
    answer = client().get("/work/cases", params={"token": LEAD})
    kept = SimpleCookie()
    for each in answer.headers.get_list("set-cookie"):
        kept.load(each)
    assert sorted(kept) == [f"{HOST_COOKIE}_cases", f"{HOST_COOKIE}_work"]
    for each in kept.values():
        assert (each.value, each["path"], each["domain"]) == (LEAD, "/", "")
        assert each["secure"]
        assert each["httponly"]


def test_l4_roles_stand_side_by_side_by_tls() -> None:
    both = {f"{HOST_COOKIE}_work": LEAD, f"{HOST_COOKIE}_centre": OTHER}
    with client(cookies=both) as browser:
        assert browser.get("/work/cases").json()["actor"] == "lead:L017"
        assert browser.get("/centre").json()["actor"] == "operator:somebody"
        assert browser.post("/work/cases").status_code == 200


@pytest.mark.parametrize(
    ("base", "cookie"),
    [
        (TLS, TOKEN_COOKIE),  # another host of the domain, or an answer in the clear, may set it
        (TLS, f"{HOST_COOKIE}_centre"),
        ("http://city.example", f"{HOST_COOKIE}_work"),
    ],
)
def test_l4_other_cookies_count_for_nothing(base: str, cookie: str) -> None:
    with client(base, {cookie: LEAD}) as browser:
        assert browser.get("/work/cases").status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://city.example", 200),
        ("http://city.example", 403),
        ("https://city.example:444", 403),
        ("https://elsewhere.example", 403),
        ("null", 403),
    ],
)
def test_l4_a_form_comes_from_the_same_scheme_too(origin: str, status: int) -> None:
    with client(cookies={f"{HOST_COOKIE}_work": LEAD}) as browser:
        assert browser.post("/work/cases", headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("dest", ["document", "iframe", "image", "empty"])
def test_m8_another_site_signs_nobody_in(site: str, dest: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
    assert not signs_in("/work/cases", LEAD, headers)
    refused = client().get("/work/cases", params={"token": LEAD}, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/confirm-sign-in")
    assert refused.json()["actor"] == "lead:L017"
    with client(cookies={f"{HOST_COOKIE}_work": OTHER}) as browser:
        assert (
            browser.get("/work/cases", params={"token": LEAD}, headers=headers).status_code == 403
        )


@pytest.mark.parametrize("site", ["none", "same-origin", None])
def test_m8_a_message_and_our_own_page_sign_in(site: str | None) -> None:
    assert signs_in("/work/cases", LEAD, {"Sec-Fetch-Site": site} if site else None)


def test_m8_who_is_signed_in_already_is_not_asked() -> None:
    with client(cookies={f"{HOST_COOKIE}_work": LEAD}) as browser:
        headers = {"Sec-Fetch-Site": "cross-site"}
        answer = browser.get("/work/cases", params={"token": LEAD}, headers=headers)
        assert answer.status_code == 303


def test_m8_the_question_is_a_page_that_leads_to_the_same_address(make_pages: MakePages) -> None:
    app = make_app()
    problems.install(app, make_pages({}))
    browser = TestClient(app, base_url=TLS, follow_redirects=False)
    headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html", "Accept-Language": "en"}
    answer = browser.get("/work/cases", params={"token": LEAD}, headers=headers)
    assert answer.status_code == 403
    assert "act as lead:L017 in this browser" in answer.text
    assert '<a class="btn" href="">Sign in</a>' in answer.text
    assert LEAD not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_l4_the_language_is_kept_by_the_host_too(make_pages: MakePages) -> None:
    app = make_app()
    problems.install(app, make_pages({}))
    for base, name in ((TLS, "__Host-lastmetre_lang"), ("http://city.example", "lastmetre_lang")):
        browser = TestClient(app, base_url=base, headers={"Accept": "text/html"})
        first = browser.get("/nothing", params={"lang": "en"})
        assert first.headers["set-cookie"].startswith(f"{name}=en;")
        assert ("Secure" in first.headers["set-cookie"]) == (base == TLS)
        assert browser.get("/nothing").headers["content-language"] == "en"
