"""A type on our own topics that this build does not know: its partition stops and says so, and
everything else is read on. It is not for the dead letters: the next build knows it."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseRegistered
from lastmetre.common.contracts.topics import CASE_EVENTS
from tests.integration.hostile_kafka import body
from tests.support.city import IntakeAlone, eventually, submitted

STOPPED, ANOTHER = 3, 4
JUDGED = b"lastmetre.case.judged.v1"


def registered(case_id: UUID) -> CaseRegistered:
    now = datetime.now(UTC)
    return CaseRegistered(
        case_id=case_id, seq=1, number="261122-0418", report_id=uuid4(), actor=SYSTEM,
        channel=Channel.HOTLINE, origin=Origin.LIVE, category="unknown", reported_at=now,
        reporter_reachable=True, language=Language.CHINESE, occurred_at=now, recorded_at=now,
    )  # fmt: skip


async def test_only_its_partition_stops(intake_city: IntakeAlone) -> None:
    async with intake_city.running() as city:
        running = await city.start()
        behind, elsewhere = uuid4(), uuid4()
        await city.produce(CASE_EVENTS, b"k", b"{}", [("ce_type", JUDGED)], STOPPED)
        await city.tell(registered(behind), partition=STOPPED)
        await city.tell(registered(elsewhere), partition=ANOTHER)

        async def stopped() -> str | None:
            async with running.client() as client:
                said = (await client.get("/readyz?all")).text
            return said if JUDGED.decode() in said else None

        assert f"case.events-{STOPPED}" in await eventually(stopped)

        async def applied() -> list[UUID]:
            return [row[0] for row in await city.fetch("SELECT case_id FROM case_view")]

        assert await eventually(applied) == [elsewhere]
        await city.produce("channels.app", b"k", body(), submitted("app"))
        assert await city.until_read() == Counter(accepted=1)
        read = await city.fetch("SELECT partition, next_offset FROM position WHERE flow = 'cases'")
        assert [tuple(row) for row in read] == [(ANOTHER, 1)]
        assert await city.value("SELECT count(*) FROM dead_letter") == 0
