"""Kafka as operators run it: TLS, SASL, several addresses, certificates that are renewed."""

import base64
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aiokafka.errors import KafkaError

from lastmetre.cli.probes import broker_answers
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.rights import Right, rights
from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess, Sasl, TlsFiles
from lastmetre.common.kafka.aiokafka_clients import GroupConsumer
from lastmetre.common.kafka.ports import ClientSpent, TopicPartition
from lastmetre.common.kafka.rights_view import look_at_rights
from lastmetre.common.kafka.topics import TopicState, apply_topics
from lastmetre.common.service.kafka_clients import KafkaClients
from lastmetre.devstack import Stack
from tests.support.access_rules import AccessRules
from tests.support.certificates import Authority
from tests.support.city import eventually
from tests.support.secured_broker import PASSWORD, USER, SecuredBroker

NOBODY = "127.0.0.1:9"
METRICS = "lastmetre-metrics"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    folder = tmp_path_factory.mktemp("secured")
    with SecuredBroker(folder, {METRICS: PASSWORD}, open_otherwise=True) as running:
        yield running


def scram(broker: SecuredBroker, password: str = PASSWORD, user: str = USER) -> KafkaAccess:
    return KafkaAccess(
        # One address is of a broker that is not there.
        (NOBODY, broker.addresses["scram"]),
        "SASL_SSL",
        TlsFiles(broker.authority_file),
        Sasl("SCRAM-SHA-512", user, password),
    )


async def round_trip(access: KafkaAccess, prefix: str) -> None:
    """Topics are made, a record is written, and read by a member of a group."""
    made = await apply_topics(access, prefix, development=True)
    assert {each.state for each in made} == {TopicState.CREATED}
    async with clients.idempotent_producer(access, "test") as producer:
        await producer.send_and_wait(prefix + REPORTS, b"body", key=b"key")
    consumer = clients.consumer(access, client_id="test", group_id=f"{prefix}test")
    consumer.subscribe([prefix + REPORTS])
    await consumer.start()
    try:
        record = await consumer.getone()
        assert (record.key, record.value) == (b"key", b"body")
    finally:
        await consumer.stop()


async def test_scram_over_tls_and_an_address_that_does_not_answer(broker: SecuredBroker) -> None:
    await round_trip(scram(broker), "scram.")


async def test_a_wrong_password_and_an_unknown_authority_are_refused(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    stranger = Authority("a stranger's").write(tmp_path / "stranger.pem")
    for access in (
        scram(broker, "wrong"),
        KafkaAccess((broker.addresses["mutual"],), "SSL", TlsFiles(stranger)),
    ):
        with pytest.raises(KafkaError):
            await clients.metadata_client(access, "test").bootstrap()


async def test_renewed_certificates_are_used_without_a_restart(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"

    def renew(authority: Authority) -> None:
        content, private = authority.issue("client")
        certificate.write_bytes(content)
        key.write_bytes(private)

    async def connects() -> bool:
        """Whether the client can make a new connection."""
        for connection in list(client._conns.values()):  # noqa: SLF001 - aiokafka closes none when asked
            connection.close()
        return bool(await client.force_metadata_update())

    renew(broker.authority)
    access = KafkaAccess(
        (broker.addresses["mutual"],), "SSL", TlsFiles(broker.authority_file, certificate, key)
    )
    await round_trip(access, "mutual.")
    client = clients.metadata_client(access, "test")
    await client.bootstrap()
    try:
        assert await connects()
        renew(Authority("a stranger's"))
        assert not await connects(), "the new files are read, and the broker does not know them"
        key.write_text("half of a pair", "ascii")
        renew(broker.authority)
        assert await connects()
        key.write_text("half of a pair", "ascii")
        assert await connects(), "until both are there the former pair is used"
    finally:
        await client.close()


@pytest.fixture
def token_url() -> Iterator[str]:
    """Gives unsigned tokens, which only a broker for development takes."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            now = int(time.time())
            parts = ({"alg": "none"}, {"sub": "lastmetre", "iat": now, "exp": now + 300})
            token = "".join(
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") + "."
                for part in parts
            )
            body = json.dumps({"access_token": token, "expires_in": 300}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()


async def test_tokens_from_an_endpoint(broker: SecuredBroker, token_url: str) -> None:
    sasl = Sasl(
        "OAUTHBEARER", token_url=token_url, oauth_client_id="id", oauth_client_secret="secret"
    )
    access = KafkaAccess((broker.addresses["token"],), "SASL_PLAINTEXT", sasl=sasl)
    await round_trip(access, "token.")


async def test_a_right_that_is_missing_or_not_needed_is_named(broker: SecuredBroker) -> None:
    """`make rights` does so with every right, and looks what else comes of it."""
    prefix, rules = "rights.", AccessRules(broker.bootstrap_servers)
    await apply_topics(scram(broker), prefix, development=True)
    needed = [each._replace(name=prefix + each.name) for each in rights()["metrics"]]
    await rules.allow(METRICS, needed)
    access = scram(broker, user=METRICS)

    async def sees(missing: list[Right], beyond: list[Right]) -> None:
        """Soon: a broker follows the controller, which has taken the rules."""

        async def look() -> bool:
            view = await look_at_rights(access, prefix, "metrics")
            return (view.missing, view.beyond) == (missing, beyond)

        await eventually(look, f"view of {missing} and {beyond}")

    await sees([], [])
    read = Right("topic", prefix + REPORTS, "Read")
    join = Right("group", f"{prefix}metrics.", "Read")
    await rules.allow(METRICS, [Right("topic", prefix + REPORTS, "Delete")])
    await rules.allow("nobody", [join])  # without any rule it would be open to all
    groups = dict.fromkeys(READERS["metrics"].values())
    async with rules.without(METRICS, read), rules.without(METRICS, join):
        await sees(
            [
                Right("topic", REPORTS, "Read"),
                *(Right("group", f"metrics.{each}", "Read") for each in groups),
            ],
            [Right("topic", REPORTS, "Delete")],
        )


class Assigned:
    """Hears of assignments."""

    def __init__(self) -> None:
        self.partitions: set[TopicPartition] = set()

    async def on_assigned(self, assigned: set[TopicPartition]) -> None:
        self.partitions = assigned

    async def on_revoked(self) -> None:
        self.partitions = set()


async def until_it_fails(consumer: GroupConsumer) -> None:
    while True:
        await consumer.poll(1, 0.1)


async def test_a_client_that_was_not_allowed_its_group_is_not_used_again(
    broker: SecuredBroker,
) -> None:
    """aiokafka's heartbeat has ended by then, and it begins no other one."""
    prefix, rules, listener = "group.", AccessRules(broker.bootstrap_servers), Assigned()
    await apply_topics(scram(broker), prefix, development=True)
    join = Right("group", f"{prefix}metrics.", "Read")
    await rules.allow(METRICS, [join])
    ours = KafkaClients("metrics", scram(broker, user=METRICS), prefix)
    consumer = ours.consumer("cases", [REPORTS])
    await consumer.start(listener)
    try:
        while not listener.partitions:
            await consumer.poll(1, 0.1)
        # Another one's rule stays: without any the group would be open to all.
        await rules.allow("nobody", [join])
        async with rules.without(METRICS, join):
            with pytest.raises(ClientSpent):
                await until_it_fails(consumer)
    finally:
        await consumer.close()
        await ours.close()


def test_a_stack_beside_a_secured_cluster_of_somebody_else(
    broker: SecuredBroker, tmp_path: Path
) -> None:
    """A broker of somebody's own: the stack, its services and the commands all enter it."""
    (tmp_path / "password").write_text(PASSWORD)
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.addresses["scram"],
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_CA_FILE": str(broker.authority_file),
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
        "LASTMETRE_TOPIC_PREFIX": "stack.",
    }
    only_metrics = {"intake": 0, "dispatch": 0, "notify": 0}
    with Stack(tmp_path / "home", scale=only_metrics, environment=told) as stack:
        assert stack.is_ready("metrics")
        assert stack.is_ready("kafka")
        installation = Installation.of_stack(stack.endpoints, stack.home.root)
        assert installation.broker().access == KafkaAccess(
            (broker.addresses["scram"],),
            "SASL_SSL",
            TlsFiles(broker.authority_file),
            Sasl("SCRAM-SHA-512", USER, PASSWORD),
        )
        assert broker_answers(installation.broker().access)
