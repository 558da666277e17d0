"""Leads' devices sign in by the link in a message, partners' systems by the provider's token."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from lastmetre.common.security.access_tokens import AccessTokenReader
from lastmetre.common.security.callers import ACCESS_COOKIE, Via
from lastmetre.common.security.lead_links import LINK_LIFETIME, LeadLinks
from lastmetre.common.service.clock import RealClock
from tests.integration.sign_in.conftest import AUDIENCE, Browser
from tests.support.city import IntakeAlone, key_bytes
from tests.support.openid_provider import CLIENT, OpenIdProviderOfTests

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LEAD_LINK: Final = "/sign-in/link/{}?next=/cases/261122-0418583"


def lead_link(city: IntakeAlone, lead_id: str = "L017") -> str:
    """As notify puts it into a message, behind dispatch's own address."""
    key = key_bytes(city.credentials.link_key)
    return LEAD_LINK.format(LeadLinks(key).seal(lead_id, datetime.now(UTC)))


async def test_a_leads_device_is_a_session_like_others(
    browser: Browser, signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> None:
    arrived = await browser.get(lead_link(signing_in))
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/cases/261122-0418583")
    assert browser.acting() == "lead:L017"
    ends = "SELECT count(*), extract(day FROM max(ends_at) - now()) FROM staff_session"
    assert tuple((await signing_in.fetch(ends))[0]) == (1, 89)
    # The next message's link signs the same device in no second time.
    browser.client.cookies.delete(ACCESS_COOKIE)
    await browser.get(lead_link(signing_in))
    assert browser.acting() == "lead:L017"
    assert await signing_in.value("SELECT count(*) FROM staff_session") == 1
    device = "SELECT session_id::text FROM staff_session WHERE signed_in_by = 'link'"
    session = str(await signing_in.value(device))
    # Somebody whose name is this lead's id knows nothing of it.
    provider.claims |= {"preferred_username": "L017"}
    async with signing_in.processes[0].client() as client:
        namesake = Browser(client, signing_in)
        await namesake.sign_in()
        assert session not in (await namesake.get("/sign-in")).text
        assert (await namesake.post("/sign-in/revoke", session=session)).status_code == 404
    # At his desk the same lead ends it.
    provider.claims |= {"groups": ["leads"], "employee": "L017"}
    async with signing_in.processes[0].client() as client:
        desk = Browser(client, signing_in)
        await desk.sign_in()
        assert (await desk.post("/sign-in/revoke", session=session)).status_code == 303
    assert (await browser.post("/sign-in/renew")).status_code == 401


@pytest.mark.parametrize(
    ("site", "signed_in", "status"),
    [
        ("none", None, 303),  # out of a message
        ("same-origin", None, 303),  # he said so on our page
        (None, None, 303),  # a browser that does not tell
        ("cross-site", None, 403),
        ("same-site", None, 403),
        ("cross-site", "L001", 403),
        ("cross-site", "L017", 303),  # nothing becomes another
    ],
)
async def test_m8_a_leads_link(
    browser: Browser, signing_in: IntakeAlone, site: str | None, signed_in: str | None, status: int
) -> None:
    if signed_in:
        await browser.get(lead_link(signing_in, signed_in))
    headers = {"Sec-Fetch-Site": site} if site else {}
    answer = await browser.get(lead_link(signing_in), Accept="application/json", **headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 303)
    if status == 403:
        assert answer.json()["actor"] == "lead:L017"


async def test_a_link_that_is_not_ours_signs_nobody_in(
    browser: Browser, signing_in: IntakeAlone
) -> None:
    old = LeadLinks(key_bytes(signing_in.credentials.link_key))
    over = old.seal("L017", datetime.now(UTC) - LINK_LIFETIME - timedelta(days=1))
    forged = LeadLinks(b"another key of 32 bytes and more").seal("L017", datetime.now(UTC))
    for secret in (over, forged, "rubbish"):
        assert (await browser.get(LEAD_LINK.format(secret))).status_code == 404
    assert browser.acting() is None


# --- programs


async def exchange(browser: Browser, token: str, **changed: str) -> httpx.Response:
    """As RFC 8693 has it."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    return await browser.client.post("/sign-in/token", data=form | changed)


async def test_a_partners_system_gets_a_token_of_ours(
    browser: Browser, signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> None:
    theirs = provider.token(AUDIENCE, preferred_username="service-account-311", exp=_in(300))
    answer = await exchange(browser, theirs)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert (document["token_type"], document["issued_token_type"]) == (
        "Bearer",
        "urn:ietf:params:oauth:token-type:access_token",
    )
    # No longer than theirs, which ends before ours would.
    assert 200 < document["expires_in"] <= 300
    key = key_bytes(signing_in.credentials.public_access_key)
    person = AccessTokenReader([key], RealClock()).read(document["access_token"], Via.HEADER)
    assert person is not None
    assert person.actor == "operator:service-account-311"
    # It is good for services as it is for people, and is no session.
    bearer = {"Authorization": f"Bearer {document['access_token']}"}
    letters = await browser.client.get("/api/intake/v1/dead-letters", headers=bearer)
    assert letters.status_code == 403
    assert await signing_in.value("SELECT count(*) FROM staff_session") == 0


def _in(seconds: int) -> int:
    return int(datetime.now(UTC).timestamp()) + seconds


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": CLIENT[0]},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"groups": []},
    ],
)
async def test_what_the_provider_did_not_mean_for_us_gets_none(
    browser: Browser, provider: OpenIdProviderOfTests, claims: dict[str, Any]
) -> None:
    answer = await exchange(browser, provider.token(AUDIENCE, **claims))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/token-not-accepted")


async def test_our_own_token_is_not_exchanged_for_a_younger_one(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    ours = (await exchange(browser, provider.token(AUDIENCE))).json()["access_token"]
    assert (await exchange(browser, ours)).status_code == 401


async def test_an_exchange_says_what_it_is(
    browser: Browser, provider: OpenIdProviderOfTests
) -> None:
    answer = await exchange(browser, provider.token(AUDIENCE), grant_type="password")
    assert answer.status_code == 422


@pytest.mark.parametrize("claims", [{}, {"sid": None}, {"sub": "f3a1", "sid": "s-1"}])
async def test_who_signs_out_at_the_provider_is_signed_out_here(
    browser: Browser, provider: OpenIdProviderOfTests, claims: dict[str, Any]
) -> None:
    await browser.sign_in()
    notice = {"logout_token": provider.logout_token(**claims)}
    assert (await browser.client.post("/sign-in/ended", data=notice)).status_code == 200
    assert (await browser.post("/sign-in/renew")).status_code == 401


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"sid": "another"}, 200),
        ({"sub": "another"}, 200),
        ({"events": {}}, 400),
        ({"events": "http://schemas.openid.net/event/backchannel-logout"}, 400),
        ({"nonce": "an ID token's"}, 400),
        ({"aud": "another"}, 400),
        ({"exp": 1}, 400),
    ],
)
async def test_nobody_else_is_signed_out_so(
    browser: Browser, provider: OpenIdProviderOfTests, claims: dict[str, Any], status: int
) -> None:
    await browser.sign_in()
    notice = {"logout_token": provider.logout_token(**claims)}
    assert (await browser.client.post("/sign-in/ended", data=notice)).status_code == status
    assert (await browser.post("/sign-in/renew")).status_code == 204
