"""Check `kafka`: the brokers, who is let in, their releases. Check `topics`: copies, settings."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import AuthenticationFailedError, KafkaError

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Broker, Installation
from lastmetre.common.contracts.topics import REPLICAS, TOPICS, minimum_in_sync
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.cluster_view import ClusterView, Partition, look_at_cluster
from lastmetre.common.kafka.topics import TopicState, describe_topics

TRIED_RELEASE: Final = "4."
NO_BROKER: Final = (KafkaError, OSError, TimeoutError)
_NOT_KNOWN: Final = "set KAFKA_BOOTSTRAP_SERVERS in the environment or in a profile"


async def look_at_kafka(installation: Installation, said: Findings) -> None:
    """Addresses one by one, then the brokers that the cluster names."""
    broker = known_broker(installation, said)
    if broker is None:
        return
    access = broker.access
    if not await _addresses(access, said):
        return
    development = installation.is_development()
    _security(access, said, development=development)
    try:
        view = await look_at_cluster(access, [])
    except NO_BROKER as error:
        said.wrong(
            "kafka-no-answer",
            str(access),
            f"no answer about the cluster: {why(error)}",
            "nothing is taken in, sent or read",
            "look into the brokers' logs",
        )
        return
    _brokers(view, said, development=development)


def known_broker(installation: Installation, said: Findings) -> Broker | None:
    """Where Kafka is; says so if nobody knows, or if what is known cannot be used."""
    if not installation.find("KAFKA_BOOTSTRAP_SERVERS"):
        said.unknown("kafka-not-known", "Kafka", "its address is not known", _NOT_KNOWN)
        return None
    try:
        return installation.broker()
    except UsedWrongly as error:
        said.wrong(
            "kafka-settings",
            "Kafka",
            error.problem,
            "no service starts with these settings",
            "docs/configuration.md tells what belongs together",
        )
        return None


async def _addresses(access: KafkaAccess, said: Findings) -> bool:
    """Whether any lets us in."""
    servers = access.bootstrap_servers
    answers = await asyncio.gather(
        *(clients.answering(access, each, "lastmetre-doctor") for each in servers),
        return_exceptions=True,
    )
    some = any(isinstance(each, str) for each in answers)
    for server, answer in zip(servers, answers, strict=True):
        if isinstance(answer, str):
            said.fine(server, "answers")
        elif not isinstance(answer, NO_BROKER):
            raise answer
        else:
            _refused(server, answer, said, others_answer=some)
    return some


def _refused(server: str, error: BaseException, said: Findings, *, others_answer: bool) -> None:
    code, way_out = _ways_out(error)
    if others_answer:
        means = "the others are used; if they go as well, nothing answers"
        said.warn(code, server, f"does not let us in: {why(error)}", means, way_out)
    else:
        means = "nothing is taken in, sent or read; services wait, and lose nothing"
        said.wrong(code, server, f"does not let us in: {why(error)}", means, way_out)


def _ways_out(error: BaseException) -> tuple[str, str]:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(each, AuthenticationFailedError) for each in causes):
        return "kafka-refuses-us", (
            "the broker does not know this user, or not by this password: compare"
            " KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD with the broker's users"
        )
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return "kafka-no-tls", (
            "the broker's certificate is not trusted, or it speaks no TLS there: see"
            " KAFKA_SSL_CA_FILE, and that its certificate names this address"
        )
    return "kafka-away", (
        "is it running, is the port right, does a firewall stand between; a broker with TLS or SASL"
        " closes at once where KAFKA_SECURITY_PROTOCOL says otherwise"
    )


def why(error: BaseException) -> str:
    """In one line: the error's kind and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())


def _security(access: KafkaAccess, said: Findings, *, development: bool) -> None:
    proves = access.uses_sasl or access.tls.certificate is not None
    if proves and access.uses_tls:
        said.fine("security", f"{access.security_protocol}, we prove who we are")
    elif development:
        said.fine("security", f"{access.security_protocol}, as in a development stack")
    elif not proves:
        said.warn(
            "kafka-open",
            "security",
            "clients do not prove who they are",
            "whoever reaches Kafka reads every report and may write into any topic",
            "give each service a user of its own (docs/security.md, Who may write where)",
        )
    else:
        said.warn(
            "kafka-in-the-clear",
            "security",
            f"{access.security_protocol}: without TLS",
            "whoever reads the network reads the reports",
            "KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        )


def _brokers(view: ClusterView, said: Findings, *, development: bool) -> None:
    for each in view.brokers:
        name = f"broker {each.node} ({each.address})"
        if each.problem:
            said.wrong(
                "broker-away",
                name,
                f"the cluster names it, it does not answer: {each.problem}",
                "partitions that it leads take nothing; with three copies the others take over",
                "start it; if it runs, its advertised.listeners must be reachable from here",
            )
        elif each.release.startswith("before") or not each.release.startswith(
            (TRIED_RELEASE, "after")
        ):
            said.warn(
                "kafka-untried",
                name,
                f"Kafka {each.release or 'of an unknown release'}",
                f"Lastmetre was tried on Kafka {TRIED_RELEASE}x alone",
                "upgrade Kafka",
            )
        elif each.in_use and each.in_use != each.release:
            said.warn(
                "kafka-upgrade-unfinished",
                name,
                f"Kafka {each.release}, the cluster still works as {each.in_use}",
                "an upgrade of Kafka has not been ended",
                "kafka-features.sh upgrade --release-version",
            )
        else:
            said.fine(name, f"Kafka {each.release}")
    if len(view.brokers) < REPLICAS and not development:
        said.wrong(
            "kafka-few-brokers",
            "brokers",
            f"{len(view.brokers)} of at least {REPLICAS}",
            "new topics would have too few copies, for ever; a lost disk loses records",
            f"start {REPLICAS}; on one server say LASTMETRE_DEVELOPMENT=1",
        )


# --- topics


async def look_at_topics(installation: Installation, said: Findings) -> None:
    """Each topic: is it there, as declared, with all its copies."""
    broker = known_broker(installation, said)
    if broker is None:
        return
    development = installation.is_development()
    names = [broker.topic_prefix + each.name for each in TOPICS]
    try:
        view = await look_at_cluster(broker.access, names)
    except NO_BROKER as error:
        said.unknown("kafka-no-answer", "topics", why(error), "see the check kafka")
        return
    copies = min(REPLICAS, len(view.brokers)) if development else REPLICAS
    for name in names:
        topic = view.topics[name]
        if not topic.error:
            _copies(name, topic.partitions, copies, said)
        elif topic.error != "UnknownTopicOrPartitionError":
            said.unknown("topic-hidden", name, topic.error, "see the check rights")
    await _declared(broker, said, development=development)


def _copies(name: str, partitions: Sequence[Partition], copies: int, said: Findings) -> None:
    leaderless = [each.number for each in partitions if each.leader < 0]
    least = minimum_in_sync(copies)
    stuck = [each.number for each in partitions if len(each.in_sync) < least]
    behind = [each.number for each in partitions if len(each.in_sync) < len(each.replicas)]
    if leaderless:
        said.wrong(
            "partition-leaderless",
            name,
            f"no leader for partitions {_list(leaderless)}",
            "they take and give nothing; everything in them waits",
            "start the brokers that have their copies",
        )
    elif stuck:
        said.wrong(
            "partition-too-few-in-sync",
            name,
            f"fewer than {least} copies are in sync of partitions {_list(stuck)}",
            "they take nothing (min.insync.replicas); what is to be sent waits",
            "start the brokers that have the other copies",
        )
    elif behind:
        said.warn(
            "partition-out-of-sync",
            name,
            f"a copy is behind of partitions {_list(behind)}",
            "another broker lost now, and they take nothing",
            "start the broker that is away, or wait until it has caught up",
        )
    else:
        said.fine(name, f"{len(partitions)} partitions, all copies in sync")


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


async def _declared(broker: Broker, said: Findings, *, development: bool) -> None:
    try:
        reports = await describe_topics(broker.access, broker.topic_prefix, development=development)
    except KafkaError as error:
        said.unknown(
            "topic-settings-hidden",
            "settings of topics",
            why(error),
            "the user of this command needs DescribeConfigs on the topics, as `audit` has it",
        )
        return
    for each in reports:
        if each.state is TopicState.MISSING:
            said.wrong(
                "topic-missing",
                each.name,
                "is not there, or hidden from this user",
                "who reads or writes it waits",
                "`lastmetre topics apply` makes what is missing",
            )
        elif each.wrong:
            said.wrong(
                "topic-differs",
                each.name,
                each.state.value,
                "records may be lost, or get into another order, or stay too long",
                "`lastmetre topics describe` shows what differs and what to do",
            )
