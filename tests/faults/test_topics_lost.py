"""A topic is deleted and made anew under load: what nobody had read is gone, the rest goes on."""

import asyncio
import json

import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS, REPORTS
from lastmetre.common.kafka.topics import apply_topics
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.rig import Rig, Shape
from tests.faults.rig.verdict import command

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="topics"),
    pytest.mark.timeout(420),
]  # fmt: skip

READ_WITHIN_SECONDS = 30.0


async def lose(rig: Rig, topic: str) -> None:
    """Delete a topic, and after seven seconds apply the declaration again."""
    await rig.brokers.delete_topic(topic)
    await asyncio.sleep(7)
    await apply_topics(rig.brokers.bootstrap_servers, "", development=True)


@pytest.mark.parametrize("topic", [REPORTS, "channels.app", "notify.deliveries", "feedback"])
async def test_topic_is_made_anew(a_rig: MakeRig, begin: Begin, topic: str) -> None:
    """Read within thirty seconds; the audit names each report that was lost with the topic."""
    rig = await a_rig(Shape())
    async with begin(rig, f"{topic} deleted and made anew") as trial:
        trial.may_lose = trial.may_reset = True
        async with trial.fault():
            await lose(rig, topic)
    assert trial.figures.seconds < READ_WITHIN_SECONDS


async def test_ledger_is_lost_and_recovered(a_rig: MakeRig, begin: Begin) -> None:
    """`case.events` is filled again from dispatch's ledger; readers and figures are as before."""
    rig = await a_rig(Shape())
    async with begin(rig, "case.events deleted, made anew, recovered") as trial:
        trial.may_reset = True
        async with trial.fault():
            await lose(rig, CASE_EVENTS)
            await asyncio.sleep(5)
            code, recovered = await command(rig, "recover", "--json")
            assert code == 0, recovered
            code, rebuilt = await command(rig, "metrics", "rebuild", "--json")
            assert code == 0, rebuilt
            trial.figures.notes["sent again"] = recovered["sent_events"]
        code, verified = await command(rig, "metrics", "verify", "--json")
        assert code == 0, json.dumps(verified)
