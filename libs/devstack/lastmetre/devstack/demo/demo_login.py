"""Short links to the pages, each followed with a fresh token: for whoever looks at the demo."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from lastmetre.cli.client import ServiceClient, development_token
from lastmetre.cli.console import Trouble
from lastmetre.cli.credentials import LINK_LIFETIME
from lastmetre.cli.endpoints import Endpoints
from lastmetre.cli.profile import Installation
from lastmetre.common.security.callers import TOKEN_PARAMETER, Role
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks

HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 5.0
_PAGE: Final = 5000
_LEAD_STATES: Final = frozenset({"dispatched", "accepted", "on_site"})
Fact = dict[str, Any]


class NothingYet(Exception):
    """There is no such case; the message says so to people."""


class DemoLogin:
    """Where each short path leads now.

    Behind `/lead`, `/progress` and `/rate` may stand a case's number, behind `/lead` a lead's id.
    Alone they are about the newest case that is with a lead, was gone through to its end, or is
    closed and waits for a rating.
    """

    def __init__(self, endpoints: Endpoints, services: ServiceClient) -> None:
        self._endpoints = endpoints
        self._services = services
        self._links = SignedLinks(base64.urlsafe_b64decode(endpoints.link_key + "=="))
        self._ways: dict[str, Callable[[str], str]] = {
            "board": self._board,
            "centre": lambda _: self._page("dispatch", "/centre", Role.OPERATOR),
            "messages": lambda _: self._page("notify", "/messages/log", Role.ADMINISTRATOR),
            "administrator": lambda _: self._page("dispatch", "/centre", Role.ADMINISTRATOR),
            "lead": self._lead,
            "progress": self._progress,
            "rate": self._rate,
        }

    def target_of(self, path: str) -> str | None:
        """The whole address behind a short path; None if there is no such path.

        Raises NothingYet, or Trouble if the services do not answer.
        """
        first, _, rest = path.strip("/").partition("/")
        way = self._ways.get(first)
        return way(rest) if way else None

    def _page(self, service: str, path: str, role: Role, lead_id: str | None = None) -> str:
        lifetime: timedelta = LINK_LIFETIME
        subject = lead_id or f"demo-{role.value}"
        token = development_token(self._endpoints.token_key, role, subject, lead_id, lifetime)
        query = urlencode({TOKEN_PARAMETER: token})
        return f"{self._endpoints.services[service]}{path}?{query}"

    def _board(self, _: str) -> str:
        """Of the last days: what a visitor does today beside what was played of yesterday."""
        return self._page("metrics", "/board", Role.SUPERVISOR) + "&period=week"

    def _lead(self, rest: str) -> str:
        lead_id = rest
        if not rest or rest[0].isdecimal():
            fact = self._newest(rest, lambda f: f["lead_id"] and (rest or _with_lead(f)))
            lead_id = fact["lead_id"]
        return self._page("dispatch", "/work", Role.LEAD, lead_id)

    def _progress(self, rest: str) -> str:
        fact = self._newest(rest, lambda f: rest or (f["arrived_at"] and f["closed_at"]))
        secret = self._links.seal(LinkPurpose.PROGRESS, _case_bytes(fact))
        return f"{self._endpoints.services['intake']}/progress/case/{secret}"

    def _rate(self, rest: str) -> str:
        fact = self._newest(rest, lambda f: f["closing"] and (rest or f["rated_closing"] is None))
        identity = _case_bytes(fact) + fact["closing"].to_bytes(4, "big")
        secret = self._links.seal(LinkPurpose.RATE, identity)
        return f"{self._endpoints.services['notify']}/rate/{secret}"

    def _newest(self, number: str, fits: Callable[[Fact], Any]) -> Fact:
        """The case with that number, or else the newest one, if it fits."""
        found = [f for f in self._facts() if (not number or f["number"] == number) and fits(f)]
        if not found:
            raise NothingYet("There is no such case yet. Try again in a moment.")
        return max(found, key=lambda f: (f["registered_at"], f["number"]))

    def _facts(self) -> Iterator[Fact]:
        after: str | None = None
        while True:
            page = self._services.get(
                "metrics", "/api/metrics/v1/facts",
                limit=_PAGE, **({"after": after} if after else {}),
            )  # fmt: skip
            yield from page["facts"]
            after = page["next"]
            if after is None:
                return


def _with_lead(fact: Fact) -> bool:
    return fact["state"] in _LEAD_STATES


def _case_bytes(fact: Fact) -> bytes:
    return bytes.fromhex(fact["case_id"].replace("-", ""))


@contextmanager
def serve_demo_login(endpoints: Endpoints, home: Path, port: int) -> Iterator[str]:
    """Serve the links on this machine's own address; yields what short links begin with."""
    here = f"{HOST}:{port}"
    with ServiceClient(Installation.of_stack(endpoints, home), PATIENCE_SECONDS) as services:
        login = DemoLogin(endpoints, services)

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # Another name for this address is another site's trick to read the token.
                if self.headers.get("Host") not in (here, f"localhost:{port}"):
                    return self._say(403, "This address is answered under its own name only.")
                try:
                    target = login.target_of(self.path.partition("?")[0])
                except NothingYet as nothing:
                    return self._say(404, str(nothing))
                except Trouble as trouble:
                    return self._say(503, f"{trouble.problem} {trouble.way_out}")
                if target is None:
                    return self._say(404, "There is nothing here.")
                self.send_response(303)
                self.send_header("Location", target)
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None

            def _say(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Secrets stand in the addresses: nothing is logged."""

        with ThreadingHTTPServer((HOST, port), Answer) as server:
            threading.Thread(target=server.serve_forever, name="demo-login", daemon=True).start()
            try:
                yield f"http://{here}"
            finally:
                server.shutdown()
