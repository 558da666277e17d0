"""Staff and partners' systems sign in at a real Keycloak: `make keycloak`."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from lastmetre.common.security.callers import ACCESS_COOKIE
from lastmetre.devstack import Stack
from tests.integration.sign_in.conftest import STAFF_HOST, Browser
from tests.integration.test_who_may_call import MAY_CALL, expected
from tests.keycloak.server import CLIENT, PARTNER, Keycloak, keycloak, sign_in
from tests.support.callers import Caller
from tests.support.city import City, IntakeAlone
from tests.support.databases import fresh_database

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.asyncio(loop_scope="module"),
]

MAPPING: Final = {
    "subject": "preferred_username",
    "roles": [
        {"role": "operator", "claim": "roles", "value": "lastmetre-centre"},
        {"role": "lead", "claim": "roles", "value": "lastmetre-lead"},
        {"role": "administrator", "claim": "roles", "value": "lastmetre-it"},
    ],
    "lead_id": "employee_number",
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak(tmp_path_factory.mktemp("provider"), STAFF_HOST) as running:
        yield running


@pytest.fixture(scope="module")
def intake(
    stack: Stack, provider: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> IntakeAlone:
    """As a city sets it up; its access tokens are those that the stack's services know."""
    folder = tmp_path_factory.mktemp("signing-in")
    roles = folder / "roles.json"
    roles.write_text(json.dumps(MAPPING))
    database = fresh_database(stack, "intake")
    found = IntakeAlone(stack.endpoints.bootstrap_servers, database, folder)
    found.environment |= {
        "INTAKE_ACCESS_KEY": stack.endpoints.access_key,
        "LASTMETRE_SIGN_IN_URL": STAFF_HOST,
        "INTAKE_OIDC_ISSUER": provider.issuer(),
        "INTAKE_OIDC_CLIENT_ID": CLIENT[0],
        "INTAKE_OIDC_CLIENT_SECRET": CLIENT[1],
        "INTAKE_OIDC_AUDIENCE": "lastmetre-api",
        "INTAKE_OIDC_ROLES_FILE": str(roles),
    }
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(intake: IntakeAlone, provider: Keycloak) -> AsyncIterator[IntakeAlone]:
    async with intake.running():
        process = await intake.start()
        client = provider.id_of("clients", clientId=CLIENT[0])
        kept = provider.ask("GET", f"/clients/{client}").json()
        kept["attributes"] |= {
            "backchannel.logout.url": f"{process.url}/sign-in/ended",
            "backchannel.logout.session.required": "true",
        }
        provider.ask("PUT", f"/clients/{client}", json=kept)
        yield intake


@pytest_asyncio.fixture(loop_scope="module")
async def browser(started: IntakeAlone) -> AsyncIterator[Browser]:
    async with started.processes[0].client() as client:
        yield Browser(client, started)


async def signed_in(browser: Browser, user: str = "zhou.lin") -> httpx.Response:
    led = await browser.get("/sign-in?next=/centre")
    assert led.status_code == 303, led.text
    back = sign_in(led.headers["location"], user)
    assert back.status_code == 302, back.text
    address = httpx.URL(back.headers["location"])
    assert str(address).startswith(f"{STAFF_HOST}/sign-in/callback?")
    return await browser.get(f"{address.path}?{address.query.decode()}")


def bearer(browser: Browser) -> dict[str, str]:
    return {"Authorization": f"Bearer {browser.client.cookies[ACCESS_COOKIE]}"}


async def test_login_and_roles(browser: Browser) -> None:
    arrived = await signed_in(browser)
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/centre")
    page = await browser.get("/sign-in?lang=en")
    assert "Signed in as zhou.lin" in page.text
    assert "Operator at the command centre" in page.text
    assert "Area lead" in page.text


async def test_who_has_no_role_is_told_so(browser: Browser) -> None:
    answer = await signed_in(browser, "visitor")
    assert answer.status_code == 403
    assert ACCESS_COOKIE not in browser.client.cookies


async def test_a_wrong_password_comes_back_to_nobody(browser: Browser) -> None:
    led = await browser.get("/sign-in?next=/centre")
    assert sign_in(led.headers["location"], "zhou.lin", "wrong").status_code == 200


async def who_gets_in(city: City, caller: Caller) -> list[str]:
    """Rows of the matrix that this caller is answered wrongly on, of what can be read."""
    wrong = []
    async with httpx.AsyncClient(timeout=30) as client:
        for service, rows in MAY_CALL.items():
            for row, allowed in rows.items():
                method, path = row.split()
                if method != "GET" or "{" in path or path.startswith(("/sign-in", "/work/open")):
                    continue
                url = city.url(service, path)
                async with client.stream(method, url, headers=dict(caller.headers)) as answer:
                    may, status = expected(service, allowed, caller), answer.status_code
                if status >= 500 or (status in (401, 403) if may is None else status not in may):
                    wrong.append(f"{row} as {caller.name}: {status}")
    return wrong


async def test_the_matrix_holds_for_who_has_signed_in_there(browser: Browser, stack: Stack) -> None:
    await signed_in(browser, "qian.wei")
    administrator = Caller("administrator", bearer(browser), known=True)
    endpoints: dict[str, Any] = stack.endpoints.model_dump(mode="json", by_alias=True)
    async with City(endpoints) as city:
        assert await who_gets_in(city, administrator) == []
        broken = {"Authorization": bearer(browser)["Authorization"][:-4] + "AAAA"}
        assert await who_gets_in(city, Caller("nobody", broken, known=False)) == []


async def test_a_session_ends_by_itself_and_when_it_is_revoked(
    browser: Browser, started: IntakeAlone
) -> None:
    await signed_in(browser)
    assert (await browser.post("/sign-in/renew")).status_code == 204
    await started.execute("UPDATE staff_session SET idle_ends_at = now() - interval '1 second'")
    assert (await browser.post("/sign-in/renew")).status_code == 401
    await signed_in(browser)
    await started.execute("UPDATE staff_session SET revoked_at = now()")
    assert (await browser.post("/sign-in/renew")).status_code == 401


async def test_logout_leads_to_that_of_the_provider(browser: Browser) -> None:
    await signed_in(browser)
    out = await browser.post("/sign-out")
    page = await browser.get(out.headers["location"] + "?lang=en")
    assert "/protocol/openid-connect/logout?client_id=lastmetre" in page.text
    assert (await browser.post("/sign-in/renew")).status_code == 401


async def test_who_is_signed_out_there_is_signed_out_here(
    browser: Browser, provider: Keycloak
) -> None:
    await signed_in(browser)
    user = provider.id_of("users", username="zhou.lin", exact="true")
    provider.ask("POST", f"/users/{user}/logout")

    async def is_out() -> bool:
        return (await browser.post("/sign-in/renew")).status_code == 401

    await City.until(is_out)


async def exchanged(browser: Browser, token: str) -> httpx.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    return await browser.client.post("/sign-in/token", data=form)


async def test_a_partners_system_by_client_credentials(
    browser: Browser, provider: Keycloak, stack: Stack
) -> None:
    answer = await exchanged(browser, provider.access_token())
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    partner = Caller("operator", headers, known=True)
    endpoints: dict[str, Any] = stack.endpoints.model_dump(mode="json", by_alias=True)
    async with City(endpoints) as city:
        assert await who_gets_in(city, partner) == []


async def test_another_issuer_is_believed_nothing(browser: Browser, provider: Keycloak) -> None:
    theirs = provider.access_token("elsewhere", PARTNER)
    assert (await exchanged(browser, theirs)).status_code == 401


async def test_under_another_name_it_is_not_our_provider(
    intake: IntakeAlone, provider: Keycloak, started: IntakeAlone
) -> None:
    issuer = provider.issuer().replace("127.0.0.1", "localhost")
    process = await started.start(INTAKE_OIDC_ISSUER=issuer)
    async with process.client() as client:
        answer = await client.get("/sign-in?next=/work", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/provider-away")


async def test_rotated_keys(browser: Browser, provider: Keycloak, started: IntakeAlone) -> None:
    before = provider.access_token()
    provider.rotate_keys()
    # A process that has asked for no keys lately; unknown ones make it ask every half minute.
    process = await started.start()
    async with process.client() as client:
        fresh = Browser(client, started)
        assert (await exchanged(fresh, provider.access_token())).status_code == 200
        assert (await exchanged(fresh, before)).status_code == 401
        arrived = await signed_in(fresh)
        assert arrived.headers["location"] == "/centre"
