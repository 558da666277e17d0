"""Intake with an identity provider, and browsers that sign in."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from lastmetre.common.security.access_tokens import AccessTokenReader
from lastmetre.common.security.callers import ACCESS_COOKIE, Via
from lastmetre.common.service.clock import RealClock
from lastmetre.devstack import Stack
from tests.support.city import IntakeAlone, key_bytes
from tests.support.databases import fresh_database
from tests.support.openid_provider import CLIENT, OpenIdProviderOfTests, openid_provider

STAFF_HOST: Final = "http://staff.example"
FAILURES: Final = 8
AUDIENCE: Final = "lastmetre-api"
MAPPING: Final = {
    "subject": "preferred_username",
    "roles": [
        {"role": "operator", "claim": "groups", "value": "centre"},
        {"role": "lead", "claim": "groups", "value": "leads"},
    ],
    "lead_id": "employee",
}


@pytest.fixture(scope="module")
def lasting() -> Iterator[OpenIdProviderOfTests]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def provider(lasting: OpenIdProviderOfTests) -> Iterator[OpenIdProviderOfTests]:
    claims, keys = lasting.claims, lasting.keys
    lasting.claims = claims | {"groups": ["centre"], "sid": "s-1"}
    yield lasting
    lasting.claims, lasting.keys = claims, keys
    lasting.token_claims, lasting.away = {}, False


class Browser:
    """A browser on the staff's host, behind which intake answers."""

    def __init__(self, client: httpx.AsyncClient, city: IntakeAlone) -> None:
        self.client = client
        self._city = city

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={"Accept": "text/html", **headers})

    async def post(self, path: str, **form: str) -> httpx.Response:
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        return await self.client.post(path, data=form or {"redisplay": ""}, headers=headers)

    async def to_provider(self, leads_to: str = "/work") -> str:
        """Where it comes back to from the provider."""
        led = await self.get(f"/sign-in?next={leads_to}")
        assert led.status_code == 303, led.text
        async with httpx.AsyncClient(verify=False) as at_provider:
            back = await at_provider.get(led.headers["location"])
        address = urlsplit(back.headers["location"])
        assert f"{address.scheme}://{address.netloc}" == STAFF_HOST
        return f"{address.path}?{address.query}"

    async def sign_in(self, leads_to: str = "/work") -> httpx.Response:
        return await self.get(await self.to_provider(leads_to))

    def keep(self, name: str, value: str) -> None:
        """Have this cookie in the place of what it has."""
        self.client.cookies.set(name, value, domain=self.client.base_url.host)

    def acting(self) -> str | None:
        """As whom every service knows this browser."""
        token = self.client.cookies.get(ACCESS_COOKIE)
        key = key_bytes(self._city.credentials.public_access_key)
        person = AccessTokenReader([key], RealClock()).read(token or "", Via.COOKIE)
        return person.actor if person else None


@pytest.fixture(scope="module")
def intake(
    stack: Stack, lasting: OpenIdProviderOfTests, tmp_path_factory: pytest.TempPathFactory
) -> IntakeAlone:
    """With the provider, not started yet."""
    folder = tmp_path_factory.mktemp("signing-in")
    roles = folder / "roles.json"
    roles.write_text(json.dumps(MAPPING))
    database = fresh_database(stack, "intake")
    intake = IntakeAlone(stack.endpoints.bootstrap_servers, database, folder)
    intake.environment |= {
        "LASTMETRE_SIGN_IN_URL": STAFF_HOST,
        "INTAKE_OIDC_ISSUER": lasting.issuer,
        "INTAKE_OIDC_CLIENT_ID": CLIENT[0],
        "INTAKE_OIDC_CLIENT_SECRET": CLIENT[1],
        "INTAKE_OIDC_AUDIENCE": AUDIENCE,
        "INTAKE_OIDC_ROLES_FILE": str(roles),
        "INTAKE_SIGN_IN_FAILURES_PER_CLIENT": str(FAILURES),
    }
    return intake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(intake: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    """One process for all: it is asked, and nothing in it is changed."""
    async with intake.running():
        await intake.start()
        yield intake


@pytest_asyncio.fixture(loop_scope="module")
async def signing_in(started: IntakeAlone) -> IntakeAlone:
    await started.execute("DELETE FROM staff_session")
    return started


@pytest_asyncio.fixture(loop_scope="module")
async def browser(
    signing_in: IntakeAlone, provider: OpenIdProviderOfTests
) -> AsyncIterator[Browser]:
    async with signing_in.processes[0].client() as client:
        # Each test is a client of its own: failures are counted by client.
        client.headers["X-Forwarded-For"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
        yield Browser(client, signing_in)
