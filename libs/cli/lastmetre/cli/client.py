"""The services of an installation over HTTP, as the commands call them."""

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import httpx

from lastmetre.cli.console import Trouble
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.base import Channel
from lastmetre.common.security.access_tokens import AccessTokenSigner
from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.common.security.tokens import issue_token

TOKEN_LIFETIME: Final = timedelta(minutes=10)
TOKEN_RENEWED_AFTER: Final = timedelta(minutes=5)
REQUEST_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 60.0
"""How long a service that does not answer is waited for before the command gives up."""
RETRY_SECONDS: Final = 0.5
_WORTH_ANOTHER_TRY: Final = frozenset({502, 503, 504})
START_IT: Final = "`lastmetre status` shows what answers; `make up` starts a development stack."


ADMINISTRATOR: Final = StaffMember("lastmetre", (Role.ADMINISTRATOR,), None)
"""As whom commands call the services."""


def access_token(access_key: str, staff: StaffMember, lifetime: timedelta) -> str:
    """An access token signed with intake's own key (base64url)."""
    signer = AccessTokenSigner(base64.urlsafe_b64decode(access_key + "=="))
    return signer.sign(staff, datetime.now(UTC), lifetime)


def development_token(
    token_key: str, role: Role, subject: str, lead_id: str | None, lifetime: timedelta
) -> str:
    """A token signed with the installation's own key (base64url)."""
    key = base64.urlsafe_b64decode(token_key + "==")
    return issue_token(key, subject, role, lead_id, datetime.now(UTC), lifetime)


class Refused(Trouble):
    """A service said no, and would again: `status` and its `problem` document."""

    def __init__(self, service: str, response: httpx.Response) -> None:
        self.status = response.status_code
        self.document = _document(response)
        said = self.document.get("detail") or self.document.get("title") or response.reason_phrase
        more = {
            name: value
            for name, value in self.document.items()
            if name not in ("type", "title", "detail", "status", "instance")
        }
        super().__init__(f"{service}: {self.status}, {said}{f' {more}' if more else ''}")


def _document(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class ServiceClient:
    """Calls the services as an administrator.

    A process that does not answer, or says that it cannot now, is asked again, and the next
    process of the same service in between, for `patience` seconds: everything that the commands
    send is harmless to repeat.
    """

    def __init__(self, installation: Installation, patience: float = PATIENCE_SECONDS) -> None:
        self._installation = installation
        self._patience = patience
        self._http = httpx.Client(timeout=REQUEST_SECONDS, trust_env=False)
        self._next = 0
        self._token = ""
        self._issued_at = datetime.min.replace(tzinfo=UTC)
        self.retries = 0
        """How often a request was sent again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, service: str, path: str, **parameters: Any) -> Any:
        """The JSON document there. Raises Refused, or Trouble if there is no answer."""
        urls = self._installation.urls(service)
        return self._ask(service, urls, "GET", path, params=parameters)

    def send(self, service: str, method: str, path: str, body: Any) -> Any:
        """The JSON answer to a JSON body. Raises Refused, or Trouble if there is no answer."""
        return self._ask(service, self._installation.urls(service), method, path, json=body)

    def get_internal(self, service: str, path: str, **parameters: Any) -> Any:
        """As `get`, of the service's admin port."""
        urls = self._installation.admin_urls(service)
        return self._ask(service, urls, "GET", path, params=parameters)

    def send_internal(self, service: str, method: str, path: str, body: Any) -> Any:
        """As `send`, to the service's admin port."""
        return self._ask(service, self._installation.admin_urls(service), method, path, json=body)

    def _ask(self, service: str, urls: list[str], method: str, path: str, **options: Any) -> Any:
        return self._call(service, urls, method, path, self._administrator(), **options).json()

    def submit(self, channel: Channel, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give an array of reports to a channel; the answer to each, once Kafka has them."""
        headers = {"X-API-Key": self._installation.channel_key(channel)}
        path = f"/channels/{channel.value}/reports"
        urls = self._installation.urls("intake")
        answer = self._call("intake", urls, "POST", path, headers, json=reports).json()
        items: list[dict[str, Any]] = answer["items"]
        return items

    def look_up(self, channel: Channel, source_ids: list[str]) -> list[dict[str, Any]]:
        """What became of a channel's own ids, in order; at most a thousand."""
        asked = {
            "sender": self._installation.sender(channel),
            "channel": channel.value,
            "source_ids": source_ids,
        }
        answer = self.send_internal("intake", "POST", "/api/intake/v1/lookup", asked)
        found: list[dict[str, Any]] = answer["reports"]
        return found

    def sender(self, channel: Channel) -> str:
        """Who reports through that channel: part of the identity of each report."""
        return self._installation.sender(channel)

    def _administrator(self) -> dict[str, str]:
        """The token that was given, or one of our own where the key that signs them is at hand."""
        given = self._installation.first(
            "LASTMETRE_TOKEN", "INTAKE_ACCESS_KEY", "LASTMETRE_TOKEN_KEY"
        )
        if given is None:
            raise self._installation.missing("An administrator's token", "LASTMETRE_TOKEN")
        if given.name == "LASTMETRE_TOKEN":
            return {"Authorization": f"Bearer {given.value}"}
        now = datetime.now(UTC)
        if now - self._issued_at > TOKEN_RENEWED_AFTER:
            self._issued_at = now
            self._token = (
                access_token(given.value, ADMINISTRATOR, TOKEN_LIFETIME)
                if given.name == "INTAKE_ACCESS_KEY"
                else development_token(
                    given.value, Role.ADMINISTRATOR, "lastmetre", None, TOKEN_LIFETIME
                )
            )
        return {"Authorization": f"Bearer {self._token}"}

    def _call(
        self,
        service: str,
        urls: list[str],
        method: str,
        path: str,
        headers: dict[str, str],
        **options: Any,
    ) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        while True:
            wait = RETRY_SECONDS
            url = urls[self._next % len(urls)]
            try:
                response = self._http.request(method, url + path, headers=headers, **options)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if response.status_code not in _WORTH_ANOTHER_TRY:
                    if response.is_error:
                        raise Refused(service, response)
                    return response
                reason = f"{response.status_code} {response.reason_phrase}"
                wait = _seconds(response.headers.get("Retry-After"), wait)
            if time.monotonic() + wait > deadline:
                raise Trouble(f"{service} does not answer at {url} ({reason}).", START_IT)
            self.retries += 1
            self._next += 1
            time.sleep(wait)


def _seconds(header: str | None, otherwise: float) -> float:
    """What Retry-After says, if it is a number of seconds within reason."""
    return min(float(header), 30.0) if header and header.isdecimal() else otherwise
