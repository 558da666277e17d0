"""Kafka as a city runs it: TLS, SCRAM, and the rights of the contracts, no more and no less.

With all of them everything works. Then each is taken away in turn: exactly its owner feels it, and
says which one is missing; given back, the owner goes on and nothing is lost. `make rights`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest

from lastmetre.cli.doctor.findings import Findings, Level
from lastmetre.cli.doctor.rights import look_at_rights as doctor_looks
from lastmetre.cli.profile import Installation, Source, kafka_access
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.rights import PRINCIPALS, PUBLISHES, Right, rights
from lastmetre.common.contracts.topics import CASE_EVENTS, REPORTS, SERVICES, channel_topic
from lastmetre.common.kafka.cluster_view import group_operations
from lastmetre.common.kafka.rights_view import look_at_rights
from lastmetre.devstack import Stack
from tests.drills.drill import watched
from tests.support.access_rules import AccessRules
from tests.support.city import City
from tests.support.commands import lastmetre
from tests.support.secured_broker import PASSWORD, USER, SecuredBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

APP: Final = channel_topic(Channel.APP)
PASSWORDS: Final = {f"lastmetre-{each}": f"word of {each}" for each in PRINCIPALS}


@dataclass(frozen=True)
class Secured:
    """A stack whose services enter Kafka each as itself."""

    stack: Stack
    broker: SecuredBroker
    rules: AccessRules
    told: dict[str, str]

    def as_(self, principal: str) -> dict[str, str]:
        """What a command is told to enter as that principal."""
        user = f"lastmetre-{principal}"
        return {
            "LASTMETRE_PROFILE": str(self.stack.home.endpoints),
            "NOTIFY_OUTBOX_DIRECTORY": str(self.stack.home.outbox),
            **self.told,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": PASSWORDS[user],
        }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path_factory.mktemp("secured"), PASSWORDS) as running:
        yield running


@pytest.fixture(scope="module")
def rules(broker: SecuredBroker) -> AccessRules:
    """All that the contracts say, and nothing beside it."""
    made = AccessRules(broker.bootstrap_servers)

    async def give() -> None:
        for principal, wanted in rights().items():
            await made.allow(f"lastmetre-{principal}", wanted)

    asyncio.run(give())
    return made


@pytest.fixture(scope="module")
def secured(
    broker: SecuredBroker, rules: AccessRules, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.addresses["scram"],
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_CA_FILE": str(broker.authority_file),
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
    }
    own = {
        name: value
        for service in SERVICES
        for name, value in (
            (f"{service.upper()}_KAFKA_SASL_USERNAME", f"lastmetre-{service}"),
            (f"{service.upper()}_KAFKA_SASL_PASSWORD", PASSWORDS[f"lastmetre-{service}"]),
        )
    }
    home = tmp_path_factory.mktemp("stack") / "home"
    with Stack(home, environment={**told, **own}) as stack:
        yield Secured(stack, broker, rules, told)


@pytest.fixture
async def city(secured: Secured) -> AsyncIterator[City]:
    """Partners of the city come by the listener that lets everybody in."""
    endpoints = secured.stack.endpoints.model_dump(mode="json", by_alias=True)
    endpoints["KAFKA_BOOTSTRAP_SERVERS"] = secured.broker.bootstrap_servers
    async with City(endpoints) as opened:
        yield opened


async def complaints(city: City, service: str) -> list[str]:
    """What that service says is missing."""
    answer = await city.http.get(city.url(service, "/readyz?all"))
    missing: list[str] = answer.json()["missing"]
    return missing


async def all_is_well(city: City) -> bool:
    return not any([await complaints(city, each) for each in SERVICES])


async def named_by_the_doctor(secured: Secured) -> set[tuple[str, str]]:
    """Rights that are missing, each with whose it is."""
    said = Findings("rights")
    asked = Installation.of_stack(secured.stack.endpoints, secured.stack.home.root)
    await doctor_looks(asked, said)
    assert not [each for each in said.all if each.code == "right-not-needed"]
    return {(each.subject, each.found) for each in said.all if each.level is Level.WRONG}


async def closed_case(city: City) -> None:
    """A report through all four services, to its closing and the figures."""
    case_id = await city.new_case(f"rights-{uuid4()}", contact={"phone": "13800138000"})
    for action in ("accept", "arrive", "resolve"):
        assert (await city.act(case_id, action)).status_code == 200

    async def counted() -> bool:
        metrics = await city.database("metrics")
        known = "SELECT count(*) FROM fact WHERE case_id = $1"
        return bool(await metrics.fetchval(known, case_id))

    await city.until(counted, "case in the figures")


async def balanced(secured: Secured) -> bool:
    """As the audit counts, with the audit's rights."""
    verdict = await lastmetre(secured.stack, "audit", code=0, **secured.as_("audit"))
    return bool(verdict["balanced"])


async def test_with_exactly_these_rights_everything_works(secured: Secured, city: City) -> None:
    await city.until(lambda: all_is_well(city), "peace")
    await city.import_network()
    await closed_case(city)
    assert await named_by_the_doctor(secured) == set()
    assert await balanced(secured)


# --- each right in turn


EACH: Final = [(name, right) for name in SERVICES for right in rights()[name]]
IMPLIED: Final = "Describe"
"""Comes along with every other operation that a service has on a topic or a group."""


def felt(service: str, right: Right) -> str | None:
    """How the line of `/readyz?all` begins that says what does not work, beside the right's own.

    None: nobody notices before it is needed.
    """
    if right.kind == "group":
        return f"consumer {next(iter(READERS[service].values()))}"
    if right.operation == "Read" and right.name in READERS[service]:
        return f"consumer {READERS[service][right.name]}"
    if right.operation == "Write" and right.name in (REPORTS, CASE_EVENTS):
        return "relay"
    return None


@pytest.mark.parametrize(
    ("service", "right"), EACH, ids=["-".join((name, *right)) for name, right in EACH]
)
async def test_without_a_right_its_owner_alone_says_which(
    service: str, right: Right, secured: Secured, city: City
) -> None:
    user, expected = f"lastmetre-{service}", felt(service, right)
    async with secured.rules.without(user, right):
        if right.operation == IMPLIED:
            assert await named_by_the_doctor(secured) == set()
            return
        words = f"{user} may not {right.operation} {right.kind} {right.name}"

        async def named() -> bool:
            """Once the broker has heard of it from its controller; nobody else lacks anything."""
            found = await named_by_the_doctor(secured)
            return bool(found) and all(
                subject == service and said.startswith(words) for subject, said in found
            )

        await city.until(named, f"doctor's finding of {right}")
        refused = (right.operation, right.name) == ("Write", APP)
        answer = await city.post("app", {"source_id": str(uuid4()), "text": "路灯不亮"})
        assert answer.status_code == (503 if refused else 202)

        async def said() -> bool:
            lines = await complaints(city, service)
            about = f"rights: may not {right.operation} {right.kind} {right.name}"
            return any(each.startswith(about) for each in lines) and (
                expected is None or any(each.startswith(expected) for each in lines)
            )

        await city.until(said, f"complaint of {service} about {right}")
        others = [each for each in SERVICES if each != service]
        assert [await complaints(city, each) for each in others] == [[], [], []]
    await city.until(lambda: all_is_well(city), f"peace after {right} was given back")


async def test_without_a_right_somebody_is_called(
    secured: Secured, city: City, tmp_path: Path
) -> None:
    async with watched(city, tmp_path) as drill:
        await drill.is_quiet("RightMissing")
        async with secured.rules.without("lastmetre-dispatch", Right("topic", REPORTS, "Read")):
            drill.begins()
            await drill.fires("RightMissing", "page", {"dispatch"})
        drill.begins()
        await drill.resolves("RightMissing", "page")


OWN: Final = [(name, topic) for name in SERVICES for topic in sorted(PUBLISHES[name])]


@pytest.mark.parametrize(("service", "topic"), OWN, ids=["-".join(each) for each in OWN])
async def test_without_its_own_topic_a_service_that_begins_says_so(
    service: str, topic: str, secured: Secured, city: City
) -> None:
    """It begins, since its database is level with the topic; only one that was restored has to
    read what the topic has beyond it."""
    right = Right("topic", topic, "Read")
    async with secured.rules.without(f"lastmetre-{service}", right):
        before = secured.stack.kill(service)

        async def goes_on() -> bool:
            if secured.stack.pid(service) in (0, before):
                return False
            try:
                lines = await complaints(city, service)
            except httpx.TransportError:
                return False
            return lines == [f"rights: may not Read topic {topic}"]

        await city.until(goes_on, f"{service} that goes on without {topic}")
    await city.until(lambda: all_is_well(city), "peace after the right was given back")


async def test_afterwards_nothing_is_lost_and_the_books_balance(
    secured: Secured, city: City
) -> None:
    await closed_case(city)
    assert await balanced(secured)


@pytest.mark.parametrize("principal", ["audit", "keda"])
async def test_who_looks_only_may_look_and_nothing_else(principal: str, secured: Secured) -> None:
    user = f"lastmetre-{principal}"
    access = kafka_access(
        Source(
            {
                **secured.told,
                "KAFKA_SASL_USERNAME": user,
                "KAFKA_SASL_PASSWORD": PASSWORDS[user],
            },
            "test",
            Path(),
        )
    )
    view = await look_at_rights(access, "", principal)
    assert (view.missing, view.beyond, view.absent) == ([], [], [])
    groups = await group_operations(access, ["intake.channels", "notify.cases"])
    may_see = {"Describe"} if principal == "keda" else set()
    assert set(groups.values()) == {frozenset(may_see)}
