"""Access tokens: only whoever has the signing key makes them; several roles, one at a time."""

import base64
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from starlette.testclient import TestClient

from lastmetre.common.security.access import CurrentPerson, allow, guard
from lastmetre.common.security.access_tokens import (
    AccessTokenReader,
    AccessTokenSigner,
    public_key,
)
from lastmetre.common.security.callers import ACCESS_COOKIE, Role, StaffMember, Via
from lastmetre.common.web import problems
from tests.support.authenticators import authenticator
from tests.unit.web.conftest import guarded_app

ONE, TWO = b"1" * 32, b"2" * 32
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
LIFETIME = timedelta(minutes=10)
LIN = StaffMember("zhou.lin", (Role.OPERATOR, Role.LEAD), "L017")


def clock(now: datetime = NOW) -> Any:
    return cast("Any", SimpleNamespace(now=lambda: now))


def part_of(token: str, index: int) -> dict[str, Any]:
    encoded = token.split(".")[index]
    part: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=="))
    return part


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    body = json.dumps(claims).encode()
    return jws.serialize_compact(header, body, key, algorithms=[header["alg"]])


def test_the_public_key_of_rfc_8032() -> None:
    secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert public_key(bytes.fromhex(secret)).hex() == public


def test_a_token_names_the_person_in_each_of_his_roles() -> None:
    token = AccessTokenSigner(ONE).sign(LIN, NOW, LIFETIME)
    person = AccessTokenReader([public_key(TWO), public_key(ONE)], clock()).read(token, Via.COOKIE)
    assert person is not None
    acting = [each.actor for each in person.in_each_role]
    assert acting == ["operator:zhou.lin", "lead:L017"]
    assert "L017" not in acting[0]


@pytest.mark.parametrize(("later", "good"), [(599, True), (600, False)])
def test_a_token_ends(later: int, good: bool) -> None:
    token = AccessTokenSigner(ONE).sign(LIN, NOW, LIFETIME)
    reader = AccessTokenReader([public_key(ONE)], clock(NOW + timedelta(seconds=later)))
    assert (reader.read(token, Via.HEADER) is not None) == good


def test_what_the_services_hold_signs_nothing() -> None:
    """The public key as a secret one, in every way that has fooled readers elsewhere."""
    public = public_key(ONE)
    good = AccessTokenSigner(ONE).sign(LIN, NOW, LIFETIME)
    header, claims = part_of(good, 0), part_of(good, 1)
    private = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(ONE))
    reader = AccessTokenReader([public], clock())
    forged = {
        "as a symmetric key": signed(header | {"alg": "HS256"}, claims, OctKey.import_key(public)),
        "as a private key": AccessTokenSigner(public).sign(LIN, NOW, LIFETIME),
        "another key under its id": signed(
            header, claims, OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(TWO))
        ),
        "no key named": signed({k: v for k, v in header.items() if k != "kid"}, claims, private),
        "another kind": signed(header | {"typ": "JWT"}, claims, private),
        "for others": signed(header, claims | {"aud": "elsewhere"}, private),
        "from elsewhere": signed(header, claims | {"iss": "elsewhere"}, private),
        "no roles": signed(header, claims | {"roles": []}, private),
        "a lead of nothing": signed(
            header, {k: v for k, v in claims.items() if k != "lead_id"}, private
        ),
        "no signature": good[: good.rindex(".") + 1],
    }
    assert reader.read(signed(header, claims, private), Via.HEADER) is not None
    assert [name for name, token in forged.items() if reader.read(token, Via.HEADER)] == []


def browser(staff: StaffMember) -> TestClient:
    app = guarded_app()

    @app.get("/cases", dependencies=allow(Role.OPERATOR, Role.SUPERVISOR, Role.LEAD))
    @app.get("/work", dependencies=allow(Role.LEAD))
    @app.get("/network", dependencies=allow(Role.ADMINISTRATOR))
    async def acting(person: CurrentPerson) -> dict[str, str]:
        return {"actor": person.actor}

    problems.install(app)
    known = authenticator(
        b"k" * 32,
        service_keys={},
        channel_keys={},
        clock=clock(),
        access_keys=[public_key(ONE)],
    )
    guard(app, known)
    token = AccessTokenSigner(ONE).sign(staff, NOW, LIFETIME)
    return TestClient(app, cookies={ACCESS_COOKIE: token})


def test_of_several_roles_the_first_that_may_is_acted_in() -> None:
    with browser(LIN) as lin:
        assert lin.get("/cases").json() == {"actor": "operator:zhou.lin"}
        assert lin.get("/work").json() == {"actor": "lead:L017"}
        assert lin.get("/network").status_code == 403
    with browser(StaffMember("zhou.lin", (Role.LEAD, Role.OPERATOR), "L017")) as lin:
        assert lin.get("/cases").json() == {"actor": "lead:L017"}
