"""The identity provider as it is asked, against one of the tests' over HTTP."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lastmetre.intake.adapters.openid_provider import KEYS_ASKED_EVERY, KEYS_KEPT, OpenIdProvider
from lastmetre.intake.domain.identity_provider import Asked, NotProved, ProviderAway
from tests.support.openid_provider import CLIENT, OpenIdProviderOfTests, openid_provider

ASKED = Asked("a state", "a nonce", "a verifier", "https://staff.example/sign-in/callback", "/work")


class Clock:
    """Real time, moved on."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def theirs() -> Iterator[OpenIdProviderOfTests]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ours(theirs: OpenIdProviderOfTests, clock: Clock) -> OpenIdProvider:
    return client_of(theirs, clock)


def client_of(
    theirs: OpenIdProviderOfTests, clock: Clock, secret: str = CLIENT[1]
) -> OpenIdProvider:
    return OpenIdProvider(
        theirs.url, CLIENT[0], secret, audience="lastmetre-api", scopes="openid", clock=clock,
        # Without certificates to read, which takes longer than all the rest.
        transport=httpx.AsyncHTTPTransport(verify=False),
    )  # fmt: skip


async def code_for(ours: OpenIdProvider, asked: Asked = ASKED) -> str:
    address = await ours.authorization_url(asked)
    async with httpx.AsyncClient(verify=False) as browser:
        back = httpx.URL((await browser.get(address)).headers["location"])
    assert back.params["state"] == "a state"
    return back.params["code"]


async def test_a_code_is_exchanged_once(ours: OpenIdProvider) -> None:
    code = await code_for(ours)
    claims = await ours.claims_for(code, ASKED)
    assert claims["preferred_username"] == "zhou.lin"
    with pytest.raises(NotProved, match="code_refused"):
        await ours.claims_for(code, ASKED)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (ASKED._replace(verifier="another"), "code_refused"),
        (ASKED._replace(redirect_uri="https://elsewhere.example/"), "code_refused"),
        (ASKED._replace(nonce="another"), "wrong_nonce"),
    ],
)
async def test_a_code_is_good_for_who_asked_alone(
    ours: OpenIdProvider, asked: Asked, why: str
) -> None:
    code = await code_for(ours)
    with pytest.raises(NotProved, match=why):
        await ours.claims_for(code, asked)


async def test_another_client_gets_nothing(theirs: OpenIdProviderOfTests, clock: Clock) -> None:
    ours = client_of(theirs, clock, "another secret")
    with pytest.raises(NotProved, match="code_refused"):
        await ours.claims_for(await code_for(ours), ASKED)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nbf": 4_000_000_000},
        {"azp": "another-client"},
        {"nonce": None},
    ],
)
async def test_claims_that_are_not_for_us(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider, claims: dict[str, Any]
) -> None:
    code = await code_for(ours)
    theirs.token_claims = claims
    with pytest.raises(NotProved):
        await ours.claims_for(code, ASKED)


async def test_several_audiences_are_fine_if_it_was_issued_to_us(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider
) -> None:
    code = await code_for(ours)
    theirs.token_claims = {"aud": ["account", CLIENT[0]], "azp": CLIENT[0]}
    assert (await ours.claims_for(code, ASKED))["sub"] == "f3a1"


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(theirs: OpenIdProviderOfTests) -> dict[str, str]:
    """By everything but the provider's private key."""
    good = theirs.token("lastmetre-api")
    head, body, _ = good.split(".")
    public = theirs.keys[0].as_pem(private=False)
    header = encoded(json.dumps({"alg": "HS256", "kid": theirs.keys[0].kid}).encode())
    signature = encoded(hmac.digest(public, f"{header}.{body}".encode(), "sha256"))
    return {
        "no signature": f"{head}.{body}.",
        "the public key as a secret": f"{header}.{body}.{signature}",
        "alg none": f"eyJhbGciOiJub25lIn0.{body}.",
        "no token": "rubbish",
        "nothing": "",
    }


async def test_only_its_private_key_signs(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider
) -> None:
    assert await ours.claims_of_access_token(theirs.token("lastmetre-api"))
    for token in forged(theirs).values():
        with pytest.raises(NotProved):
            await ours.claims_of_access_token(token)
    with pytest.raises(NotProved):
        await ours.claims_of_access_token(theirs.token(CLIENT[0]))


async def test_a_new_key_is_asked_for_and_an_old_one_forgotten(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider, clock: Clock
) -> None:
    before = theirs.token("lastmetre-api", exp=4_000_000_000)
    assert await ours.claims_of_access_token(before)
    theirs.rotate()
    clock.ahead += KEYS_ASKED_EVERY + timedelta(seconds=1)
    assert await ours.claims_of_access_token(theirs.token("lastmetre-api", exp=4_000_000_000))
    with pytest.raises(NotProved):
        await ours.claims_of_access_token(before)


async def test_a_key_that_is_taken_away_is_known_for_ten_minutes_at_most(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider, clock: Clock
) -> None:
    stolen = theirs.token("lastmetre-api", exp=4_000_000_000)
    assert await ours.claims_of_access_token(stolen)
    theirs.rotate()
    clock.ahead += KEYS_KEPT - timedelta(minutes=1)
    assert await ours.claims_of_access_token(stolen)
    clock.ahead += timedelta(minutes=1)
    with pytest.raises(NotProved):
        await ours.claims_of_access_token(stolen)


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider
) -> None:
    for number in range(20):
        theirs.header = {"kid": f"unknown-{number}"}
        with pytest.raises(NotProved):
            await ours.claims_of_access_token(theirs.token("lastmetre-api"))
    assert theirs.asked.count("/keys") == 1


def _another_issuer(theirs: OpenIdProviderOfTests) -> None:
    theirs.issuer = "https://elsewhere.example"


def _away(theirs: OpenIdProviderOfTests) -> None:
    theirs.away = True


@pytest.mark.parametrize("fault", [_another_issuer, _away])
async def test_what_is_no_provider_of_ours_signs_nobody_in(
    theirs: OpenIdProviderOfTests,
    ours: OpenIdProvider,
    fault: Callable[[OpenIdProviderOfTests], None],
) -> None:
    fault(theirs)
    with pytest.raises(ProviderAway):
        await ours.authorization_url(ASKED)
    with pytest.raises(ProviderAway):
        await ours.claims_of_access_token(theirs.token("lastmetre-api"))


async def test_it_may_go_away_between_two_questions(
    theirs: OpenIdProviderOfTests, ours: OpenIdProvider
) -> None:
    code = await code_for(ours)
    theirs.away = True
    with pytest.raises(ProviderAway):
        await ours.claims_for(code, ASKED)


@pytest.mark.parametrize("text", [None, "", "rubbish", "W10=", "eyJhIjoxfQ==", "WzEsMiwzLDQsNV0="])
def test_what_is_no_sign_in_under_way_is_none(text: str | None) -> None:
    assert Asked.read(text) is None
    assert Asked.read(ASKED.text()) == ASKED
