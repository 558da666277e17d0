"""Everybody who may knock at a service: nobody, every role, every key, and those who look so."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lastmetre.common.security.callers import Role
from lastmetre.common.security.tokens import issue_token
from tests.support.city import City, key_bytes
from tests.support.city.credentials import Credentials, key_text


@dataclass(frozen=True)
class Caller:
    """Somebody with a credential, or without; `known` if the credential is one of ours."""

    name: str
    headers: Mapping[str, str]
    known: bool


def callers(city: City) -> Iterator[Caller]:
    """All of them, named as `operator`, `app-key`, `notify-key`, `nobody` …"""
    endpoints = city.endpoints
    for role in Role:
        headers = city.bearer(role, "L0" if role is Role.LEAD else None)
        yield Caller(role.value, headers, known=True)
        signed_in = city.credentials.signed_in(role, lead_id="L0" if role is Role.LEAD else None)
        yield Caller(role.value, signed_in, known=True)
    for service, key in endpoints["service_keys"].items():
        yield Caller(f"{service}-key", {"Authorization": f"Bearer {key}"}, known=True)
    for channel, key in endpoints["channel_keys"].items():
        yield Caller(f"{channel}-key", {"X-API-Key": key}, known=True)
    right, wrong = key_bytes(endpoints["token_key"]), secrets.token_bytes(32)
    hour, now = timedelta(hours=1), datetime.now(UTC)
    forged = issue_token(wrong, "x", Role.ADMINISTRATOR, None, now, hour)
    expired = issue_token(right, "x", Role.ADMINISTRATOR, None, now - 2 * hour, hour)
    administrator = city.bearer(Role.ADMINISTRATOR)["Authorization"]
    head, claims, _ = administrator.split(".")
    everybody = Credentials(access_key=key_text()).signed_in(*Role, lead_id="L0")
    for name, headers in {
        "nobody": {},
        "expired": {"Authorization": f"Bearer {expired}"},
        "signed with another key": {"Authorization": f"Bearer {forged}"},
        "signed in elsewhere": everybody,
        "signature cut off": {"Authorization": f"{head}.{claims}."},
        "another scheme": {"Authorization": administrator.replace("Bearer", "Basic")},
        "no such service key": {"Authorization": f"Bearer {secrets.token_urlsafe(24)}"},
        "no such channel key": {"X-API-Key": secrets.token_urlsafe(24)},
        # The most explicit credential counts: it is not passed over for the next one.
        "wrong key, right token": {"X-API-Key": "x", "Authorization": administrator},
    }.items():
        yield Caller(name, headers, known=False)
