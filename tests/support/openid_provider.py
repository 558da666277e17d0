"""An OpenID provider of the tests: real HTTP, real keys, and every mistake that a test wants.

It signs in at once whoever is `claims`; there is no page of its own.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey

CLIENT: Final = ("lastmetre", "a secret: of the client%")
Answer = tuple[int, dict[str, str], bytes]


class OpenIdProviderOfTests:
    """What it says; change the members to have it say something else."""

    def __init__(self, url: str) -> None:
        self.url = self.issuer = url
        self.claims: dict[str, Any] = {"sub": "f3a1", "preferred_username": "zhou.lin"}
        self.token_claims: dict[str, Any] = {}
        """Put over those of a token that it makes."""
        self.header: dict[str, Any] = {}
        self.keys = [self._new_key()]
        """Those that it publishes; the first one signs."""
        self.away = False
        self.asked: list[str] = []
        """The paths of all requests."""
        self._codes: dict[str, dict[str, str]] = {}

    @staticmethod
    def _new_key() -> ECKey:
        return ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"})

    def rotate(self) -> None:
        """A new key in the place of all."""
        self.keys = [self._new_key()]

    def token(self, audience: str, **claims: Any) -> str:
        """A token as it would make one now."""
        now = int(datetime.now(UTC).timestamp())
        said = {
            "iss": self.issuer, "aud": audience, "iat": now, "exp": now + 60,
            **self.claims, **claims, **self.token_claims,
        }  # fmt: skip
        header = {"alg": "ES256", "kid": self.keys[0].kid, **self.header}
        return jws.serialize_compact(
            header, json.dumps(said), self.keys[0], algorithms=[header["alg"]]
        )

    def logout_token(self, **claims: Any) -> str:
        """What it sends to a client when somebody has signed out."""
        events: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
        return self.token(CLIENT[0], **({"events": events} | claims))

    # --- its pages

    def answer(self, path: str, query: Mapping[str, str], authorization: str) -> Answer:
        """To a request; `query` is that of the address, or the form."""
        self.asked.append(path)
        if self.away:
            return 502, {}, b""
        match path:
            case "/.well-known/openid-configuration":
                return _document(self._discovery())
            case "/keys":
                return _document({"keys": [key.as_dict(private=False) for key in self.keys]})
            case "/authorize":
                return self._authorize(dict(query))
            case "/token":
                return self._token(query, authorization)
        return 404, {}, b""

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/logout",
            "code_challenge_methods_supported": ["plain", "S256"],
        }

    def _authorize(self, query: dict[str, str]) -> Answer:
        assert query["client_id"] == CLIENT[0]
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_hex(8)
        self._codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        return 303, {"Location": f"{query['redirect_uri']}?{urlencode(back)}"}, b""

    def _token(self, form: Mapping[str, str], authorization: str) -> Answer:
        known = base64.b64encode(b"lastmetre:a%20secret%3A%20of%20the%20client%25").decode()
        query = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            query is None
            or authorization != f"Basic {known}"
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != query["redirect_uri"]
            or challenge != query["code_challenge"]
        ):
            return 400, {}, b'{"error": "invalid_grant"}'
        return _document({"id_token": self.token(CLIENT[0], nonce=query["nonce"])})


def _document(document: Any) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


@contextmanager
def openid_provider() -> Iterator[OpenIdProviderOfTests]:
    """One that runs until the end."""
    provider: OpenIdProviderOfTests

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            self._say(provider.answer(address.path, dict(parse_qsl(address.query)), ""))

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            said = self.headers.get("Authorization", "")
            self._say(provider.answer(self.path, dict(parse_qsl(form)), said))

        def _say(self, answer: Answer) -> None:
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = OpenIdProviderOfTests(f"http://127.0.0.1:{server.server_port}")
        serve = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serve.start()
        try:
            yield provider
        finally:
            server.shutdown()
