"""A service names the rights in Kafka that it lacks, for as long as it lacks them."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from lastmetre.common.contracts.rights import Right
from lastmetre.common.kafka.access import KafkaAccess, Sasl, SecurityProtocol, TlsFiles
from lastmetre.common.kafka.rights_view import RightsView
from lastmetre.common.service.own_rights import EVERY_SECONDS, OwnRights
from tests.support.virtual_time import in_virtual_time

SECURED = KafkaAccess(("kafka:9092",), "SASL_SSL", sasl=Sasl("SCRAM-SHA-512", "u", "p"))
LACKING = [Right("topic", "reports", "Write"), Right("group", "intake.cases", "Read")]


def test_what_is_missing_is_named_until_it_is_there_and_while_nobody_answers() -> None:
    answers: list[RightsView | Exception] = [
        RightsView(),
        RightsView(missing=LACKING),
        KafkaConnectionError(),
        RightsView(),
    ]

    async def look(access: KafkaAccess, prefix: str, principal: str) -> RightsView:
        assert (access, prefix, principal) == (SECURED, "city.", "intake")
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run() -> list[list[str]]:
        own = OwnRights("intake", SECURED, "city.", look)
        task = asyncio.create_task(own.run())
        seen = []
        for _ in range(4):
            await asyncio.sleep(EVERY_SECONDS / 2)
            seen.append(list(own.missing()))
            await asyncio.sleep(EVERY_SECONDS / 2 - 1e-3)
        task.cancel()
        return seen

    named = ["rights: may not Write topic reports", "rights: may not Read group intake.cases"]
    assert in_virtual_time(run()) == [[], named, named, []]


@pytest.mark.parametrize(
    ("protocol", "files", "sasl", "kept"),
    [
        ("PLAINTEXT", TlsFiles(), None, False),
        ("SSL", TlsFiles(), None, False),
        ("SSL", TlsFiles(None, Path("own.crt"), Path("own.key")), None, True),
        ("SASL_PLAINTEXT", TlsFiles(), Sasl("PLAIN", "u", "p"), True),
    ],
)
def test_there_are_rights_only_where_clients_prove_who_they_are(
    protocol: SecurityProtocol, files: TlsFiles, sasl: Sasl | None, kept: bool
) -> None:
    access = KafkaAccess(("kafka:9092",), protocol, files, sasl)
    assert OwnRights("intake", access, "").are_kept is kept
