"""Check `rights`: what each service may do in Kafka, asked with that service's own credentials."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.doctor.kafka import NO_BROKER, known_broker, why
from lastmetre.cli.profile import Broker, Installation, Source, kafka_access
from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.contracts.rights import PRINCIPALS, PUBLISHES, Right
from lastmetre.common.contracts.topics import SERVICES, dead_letter_topic
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.rights_view import RightsView
from lastmetre.common.kafka.rights_view import look_at_rights as ask_for_rights

USER_PREFIX: Final = "lastmetre-"
"""Before a principal's name in a cluster of Strimzi."""
_NOBODY_NEEDS: Final = frozenset({"Create", "Alter", "AlterConfigs"})
_OWN: Final = ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")


async def look_at_rights(installation: Installation, said: Findings) -> None:
    """Whatever of the access rules can be seen from here."""
    broker = known_broker(installation, said)
    if broker is None:
        return
    if not broker.access.uses_sasl and broker.access.tls.certificate is None:
        said.unknown(
            "rights-nobody-proves",
            "access rules",
            "clients do not prove who they are",
            "there is nothing to be looked at before they do: see the check kafka",
        )
        return
    known = _known(installation, broker)
    for principal in PRINCIPALS:
        if principal in known:
            await _one(principal, known[principal], broker.topic_prefix, said)
        elif principal in SERVICES:
            name = f"{principal.upper()}_KAFKA_SASL_USERNAME"
            said.unknown(
                "rights-no-credentials",
                principal,
                "its credentials in Kafka are not known here",
                f"set {name} and {principal.upper()}_KAFKA_SASL_PASSWORD_FILE, or run `lastmetre"
                f" doctor --only rights` where {principal} runs",
            )


def _known(installation: Installation, broker: Broker) -> dict[str, KafkaAccess]:
    """How each principal enters, as far as its credentials are here."""
    found: dict[str, KafkaAccess] = {}
    if broker.access.sasl:
        ours = broker.access.sasl.username.removeprefix(USER_PREFIX)
        if ours in PRINCIPALS:
            found[ours] = broker.access
    for principal in PRINCIPALS:
        own = {
            name: value
            for name in _OWN
            if (value := installation.find(f"{principal.upper()}_{name}"))
        }
        if len(own) == len(_OWN):
            found[principal] = _access({**installation.environment(), **own})
        elif installation.is_told_by_stack(principal):
            found[principal] = _access(installation.environment_of(principal))
    return found


def _access(told: Mapping[str, str]) -> KafkaAccess:
    return kafka_access(Source(told, "settings", Path.cwd()))


async def _one(principal: str, access: KafkaAccess, prefix: str, said: Findings) -> None:
    user = access.sasl.username if access.sasl else principal
    try:
        view = await ask_for_rights(access, prefix, principal)
    except NO_BROKER as error:
        said.wrong(
            "rights-not-let-in",
            principal,
            f"{user} is not let in: {why(error)}",
            f"{principal} waits, and does nothing",
            "does the broker have that user, with the password that the service is given?",
        )
        return
    for topic in view.absent:
        said.unknown(
            "topic-missing", f"{principal}: {topic}", "no such topic", "`lastmetre topics apply`"
        )
    _say(principal, user, prefix, view, said)


def _say(principal: str, user: str, prefix: str, view: RightsView, said: Findings) -> None:
    for each in view.missing:
        said.wrong(
            "right-missing",
            principal,
            f"{user} may not {each.operation} {each.kind} {each.name}",
            consequence(principal, each),
            allowing(user, each, prefix),
        )
    if not view.missing:
        said.fine(principal, f"{user} may do all that it needs")
    if {each.operation for each in view.beyond} >= _NOBODY_NEEDS and not view.missing:
        said.warn(
            "rights-not-kept",
            principal,
            f"{user} may do anything to its topics",
            "the broker keeps no access rules, or this is a superuser: one stolen password is all",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer, and the"
            " rules of deploy/kubernetes/components/strimzi/users.yaml",
        )
        return
    for each in view.beyond:
        said.warn(
            "right-not-needed",
            principal,
            f"{user} may {each.operation} {each.kind} {each.name}",
            "nothing of ours does that; whoever has its password can",
            "take that right away",
        )


def allowing(user: str, right: Right, prefix: str) -> str:
    """The command of Kafka's that gives it."""
    if right.kind == "group":
        service = right.name.partition(".")[0]
        resource = f"--group {prefix}{service}. --resource-pattern-type prefixed"
    else:
        resource = f"--topic {prefix}{right.name}"
    return (
        f"kafka-acls.sh --add --allow-principal User:{user} --operation {right.operation}"
        f" {resource}; with Strimzi, the KafkaUser of that name"
    )


def consequence(principal: str, right: Right) -> str:
    """What does not work without it."""
    if principal not in SERVICES:
        return "the books cannot be counted" if principal == "audit" else "KEDA scales nothing"
    if right.kind == "group":
        return f"{principal} reads nothing of that group's topics; its records wait"
    return _of_topic(principal, right)


def _of_topic(service: str, right: Right) -> str:
    topic, operation = right.name, right.operation
    if operation == "Describe":
        return f"{service} does not see that topic at all, and waits"
    if operation == "Delete":
        return "reports stay on the broker's disk, with what is personal in them"
    if operation == "Write":
        if topic in CHANNEL_TOPICS:
            return "reports of that channel are refused (503); the form and partners try again"
        if topic == dead_letter_topic(service):
            return "dead letters wait in its outbox, and so does what is behind them"
        return "what it has to tell waits in its outbox"
    if topic in PUBLISHES[service]:
        return f"after a restore {service} cannot read what its database lacks, and does not start"
    return f"{service} does not hear of what is in it: consumer {READERS[service][topic]} waits"
