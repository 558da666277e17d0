"""Staff sign in at the city's identity provider: sessions of intake, access tokens for all."""

from typing import Any, Final
from uuid import uuid4

import pytest

from lastmetre.common.security.callers import ACCESS_COOKIE, SESSION_COOKIE
from tests.integration.sign_in.conftest import Browser
from tests.support.city import IntakeAlone
from tests.support.openid_provider import OpenIdProviderOfTests

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_day_of_somebody_at_a_desk(
    browser: Browser, signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> None:
    provider.claims |= {"groups": ["centre", "leads"], "employee": "L017"}
    arrived = await browser.sign_in("/centre?lang=en")
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/centre?lang=en")
    assert browser.acting() == "operator:zhou.lin"
    (kept,) = await signing_in.fetch("SELECT * FROM staff_session")
    secret = browser.client.cookies[SESSION_COOKIE]
    assert secret not in str(dict(kept))
    assert secret.encode() not in bytes(kept["secret_digest"])

    account = await browser.get("/sign-in?lang=en")
    assert "Signed in as zhou.lin" in account.text
    assert account.headers["cache-control"] == "no-store"
    assert (await browser.post("/sign-in/role", role="lead")).status_code == 303
    assert browser.acting() == "lead:L017"
    assert (await browser.post("/sign-in/role", role="administrator")).status_code == 422
    # It is renewed without the provider, and remembers the role.
    provider.away = True
    browser.client.cookies.delete(ACCESS_COOKIE)
    assert browser.acting() is None
    again = await browser.get("/sign-in?next=/work")
    assert (again.status_code, again.headers["location"]) == (303, "/work")
    assert browser.acting() == "lead:L017"
    browser.client.cookies.delete(ACCESS_COOKIE)
    assert (await browser.post("/sign-in/renew")).status_code == 204
    assert browser.acting() == "lead:L017"

    out = await browser.post("/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in/signed-out")
    assert SESSION_COOKIE not in browser.client.cookies
    assert browser.acting() is None
    # The secret opens nothing any more, for whoever has kept it.
    browser.keep(SESSION_COOKIE, secret)
    assert (await browser.post("/sign-in/renew")).status_code == 401
    provider.away = False
    assert "/authorize?" in (await browser.get("/sign-in")).headers["location"]


@pytest.mark.parametrize(
    ("column", "moved"),
    [("idle_ends_at", "idle"), ("ends_at", "the end"), ("revoked_at", "revoked")],
)
async def test_a_session_that_is_over_renews_nothing(
    browser: Browser, signing_in: IntakeAlone, column: str, moved: str
) -> None:
    await browser.sign_in()
    await signing_in.execute(f"UPDATE staff_session SET {column} = now() - interval '1 second'")
    assert (await browser.post("/sign-in/renew")).status_code == 401, moved
    assert "/authorize?" in (await browser.get("/sign-in?next=/work")).headers["location"]


async def test_only_use_slides_the_end(browser: Browser, signing_in: IntakeAlone) -> None:
    await browser.sign_in()
    await signing_in.execute(
        "UPDATE staff_session SET idle_ends_at = now() + interval '100 seconds'"
    )
    left = "SELECT extract(epoch FROM idle_ends_at - now()) FROM staff_session"
    assert (await browser.post("/sign-in/renew", used="no")).status_code == 204
    assert (await signing_in.fetch(left))[0][0] <= 100
    assert (await browser.post("/sign-in/renew", used="yes")).status_code == 204
    assert 1000 < (await signing_in.fetch(left))[0][0] <= 1800


async def test_one_ends_a_session_on_another_browser(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    await browser.sign_in()
    async with signing_in.processes[0].client() as client:
        lost = Browser(client, signing_in)
        client.headers["User-Agent"] = "A lost telephone"
        await lost.sign_in()
        page = await browser.get("/sign-in?lang=en")
        assert "A lost telephone" in page.text
        newest = "SELECT session_id FROM staff_session ORDER BY begun_at DESC LIMIT 1"
        session = str((await signing_in.fetch(newest))[0][0])
        assert f'value="{session}"' in page.text
        assert (await browser.post("/sign-in/revoke", session=session)).status_code == 303
        assert (await lost.post("/sign-in/renew")).status_code == 401
        assert (await browser.post("/sign-in/renew")).status_code == 204
    for unknown in (session, str(uuid4()), "rubbish"):
        assert (await browser.post("/sign-in/revoke", session=unknown)).status_code == 404


async def test_nobody_ends_the_sessions_of_others(
    browser: Browser, signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> None:
    await browser.sign_in()
    (theirs,) = await signing_in.fetch("SELECT session_id FROM staff_session")
    provider.claims |= {"sub": "b77", "preferred_username": "qian.wei"}
    async with signing_in.processes[0].client() as client:
        other = Browser(client, signing_in)
        await other.sign_in()
        assert (await other.post("/sign-in/revoke", session=str(theirs[0]))).status_code == 404
    assert (await browser.post("/sign-in/renew")).status_code == 204


async def test_a_session_is_never_taken_over(browser: Browser, signing_in: IntakeAlone) -> None:
    """Neither a secret that somebody has put there, nor the one of before, goes on."""
    browser.keep(SESSION_COOKIE, "chosen-by-another")
    await browser.sign_in()
    first = browser.client.cookies[SESSION_COOKIE]
    assert first != "chosen-by-another"
    await browser.get(await _signed_in_anew(browser))
    second = browser.client.cookies[SESSION_COOKIE]
    assert second != first
    browser.keep(SESSION_COOKIE, first)
    assert (await browser.post("/sign-in/renew")).status_code == 401


async def _signed_in_anew(browser: Browser) -> str:
    kept = browser.client.cookies[SESSION_COOKIE]
    browser.client.cookies.delete(SESSION_COOKIE)
    back = await browser.to_provider()
    browser.keep(SESSION_COOKIE, kept)
    return back


async def _refused(browser: Browser, back: str) -> tuple[int, str]:
    answer = await browser.get(back, Accept="application/json")
    assert SESSION_COOKIE not in browser.client.cookies
    assert browser.acting() is None
    return answer.status_code, answer.json()["type"]


FAILED: Final = (403, "/problems/sign-in-failed")


@pytest.mark.parametrize("changed", ["state=", "iss=", "code="])
async def test_what_comes_back_changed_signs_nobody_in(browser: Browser, changed: str) -> None:
    back = await browser.to_provider()
    assert await _refused(browser, back.replace(changed, f"{changed}x")) == FAILED


async def test_a_code_of_another_browser_signs_nobody_in(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    """Else somebody could have another work under his name."""
    async with signing_in.processes[0].client() as client:
        back = await Browser(client, signing_in).to_provider()
    assert await _refused(browser, back) == FAILED


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"exp": 1},
        {"nonce": "another"},
    ],
)
async def test_a_token_that_is_not_for_us_signs_nobody_in(
    browser: Browser, provider: OpenIdProviderOfTests, claims: dict[str, Any]
) -> None:
    back = await browser.to_provider()
    provider.token_claims = claims
    assert await _refused(browser, back) == FAILED


async def test_who_has_no_role_is_not_signed_in(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    provider.claims["groups"] = ["leads"]  # and nobody says which lead
    assert await _refused(browser, await browser.to_provider()) == (403, "/problems/no-role")


async def test_rotated_keys_sign_in(browser: Browser, provider: OpenIdProviderOfTests) -> None:
    await browser.sign_in()
    await browser.post("/sign-out")
    provider.rotate()
    # Asked for a moment ago: unknown keys do not make intake ask again and again.
    assert await _refused(browser, await browser.to_provider()) == FAILED


async def test_without_the_provider_nobody_signs_in_and_reports_are_taken(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    back = await browser.to_provider()
    provider.away = True
    answer = await browser.get(back, Accept="application/json")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/provider-away")
    assert (await browser.get("/report")).status_code == 200


@pytest.mark.parametrize(
    "address", ["//evil.example/", "https://evil.example/", "/%5Cevil.example"]
)
async def test_a_sign_in_leads_nowhere_else(browser: Browser, address: str) -> None:
    assert (await browser.sign_in(address)).headers["location"] == "/sign-in"
    assert (await browser.get(f"/sign-in?next={address}")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/sign-out", "/sign-in/renew", "/sign-in/role", "/sign-in/revoke"]
)
async def test_another_site_does_nothing_with_a_session(browser: Browser, path: str) -> None:
    await browser.sign_in()
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await browser.client.post(path, data={"role": "operator"}, headers=headers)
    assert answer.status_code == 403
    assert (await browser.post("/sign-in/renew")).status_code == 204


async def test_by_tls_the_cookies_are_the_hosts_own(browser: Browser) -> None:
    answer = await browser.get("/sign-in?next=/work", **{"X-Forwarded-Proto": "https"})
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-lastmetre_sign_in=")
    for each in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert each in cookie
