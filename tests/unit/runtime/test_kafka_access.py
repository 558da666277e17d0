"""How Kafka is reached: what the settings say, and what they must not."""

import asyncio
from pathlib import Path

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError
from faststream.security import BaseSecurity, SASLOAuthBearer, SASLScram512
from pydantic import ValidationError

from lastmetre.common.kafka.access import KafkaAccess, Sasl, TlsFiles, WrongAccess
from lastmetre.common.kafka.clients import faststream_security
from lastmetre.common.kafka.oauth import TokenEndpoint
from lastmetre.common.service.kafka_settings import from_environment, from_source

SCRAM = Sasl("SCRAM-SHA-512", "lastmetre", "a secret")
OAUTH = Sasl(
    "OAUTHBEARER",
    token_url="https://idp.example/token",
    oauth_client_id="lastmetre",
    oauth_client_secret="a secret",
    oauth_scope="kafka",
)


def test_addresses_are_a_list_without_blanks() -> None:
    found = from_source({"KAFKA_BOOTSTRAP_SERVERS": " a:1, b:2 ,,"}.get)
    assert found == KafkaAccess(("a:1", "b:2"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": " , "}, "names no broker"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "needs KAFKA_SASL_MECHANISM"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "Input should be"),
        ({"KAFKA_SSL_CA_FILE": "/ca.pem"}, "needs KAFKA_SECURITY_PROTOCOL"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": "/key.pem"},
            "belong together",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "PLAIN"},
            "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"},
            "KAFKA_OAUTH_TOKEN_URL",
        ),
        ({"KAFKA_SESSION_TIMEOUT_SECONDS": "2"}, "KAFKA_HEARTBEAT_INTERVAL_SECONDS"),
    ],
)
def test_what_cannot_work_is_refused_and_says_why(settings: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        from_source(({"KAFKA_BOOTSTRAP_SERVERS": "a:1"} | settings).get)


def test_a_secret_may_stand_in_a_file_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("a secret\n", "utf-8")
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "lastmetre",
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
    }.items():
        monkeypatch.setenv(name, value)
    found = from_environment()
    assert found == KafkaAccess(("a:1", "b:2"), "SASL_PLAINTEXT", sasl=SCRAM)
    assert "secret" not in f"{found!r} {found} {found.sasl!r}"


def test_faststream_has_the_same_security() -> None:
    plain = faststream_security(KafkaAccess(("a:1",)))
    assert type(plain) is BaseSecurity
    assert not plain.use_ssl
    tls = faststream_security(KafkaAccess(("a:1",), "SSL"))
    assert tls.use_ssl
    scram = faststream_security(KafkaAccess(("a:1",), "SASL_SSL", sasl=SCRAM))
    assert isinstance(scram, SASLScram512)
    assert (scram.username, scram.password, scram.use_ssl) == ("lastmetre", "a secret", True)
    token = faststream_security(KafkaAccess(("a:1",), "SASL_PLAINTEXT", sasl=OAUTH))
    assert isinstance(token, SASLOAuthBearer)
    assert not token.use_ssl


def test_wrong_access_is_refused_without_settings_too() -> None:
    with pytest.raises(WrongAccess):
        KafkaAccess(())


class Endpoint:
    """Gives numbered tokens that live for 100 seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[httpx.Request] = []
        self.answer: httpx.Response | None = None
        transport = httpx.MockTransport(self._give)
        self.provider = TokenEndpoint(OAUTH, TlsFiles(), transport=transport, now=lambda: self.now)

    def _give(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        document = {"access_token": f"token {len(self.asked)}", "expires_in": 100}
        return self.answer or httpx.Response(200, json=document)


async def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    endpoint = Endpoint()
    both = await asyncio.gather(endpoint.provider.token(), endpoint.provider.token())
    assert set(both) == {"token 1"}
    endpoint.now = 79
    assert await endpoint.provider.token() == "token 1"
    endpoint.now = 80
    assert await endpoint.provider.token() == "token 2"
    first = endpoint.asked[0]
    assert first.content == b"grant_type=client_credentials&scope=kafka"
    assert first.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": "a secret"}),
        httpx.Response(200, json={"error": "a secret"}),
        httpx.Response(200, json=["a secret"]),
        httpx.Response(200, text="a secret"),
    ],
)
async def test_without_a_token_it_is_as_if_the_broker_were_away(answer: httpx.Response) -> None:
    endpoint = Endpoint()
    endpoint.answer = answer
    with pytest.raises(KafkaConnectionError, match="no token from") as raised:
        await endpoint.provider.token()
    assert "secret" not in str(raised.value)
    endpoint.answer = None
    assert await endpoint.provider.token() == "token 2"
