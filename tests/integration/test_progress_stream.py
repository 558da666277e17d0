"""A progress page's stream: live whichever process took the event in, and no stop waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from tests.support.city import IntakeAlone
from tests.support.city.processes import ServiceProcess
from tests.support.event_stream import events_of

pytestmark = pytest.mark.slow


async def report(city: IntakeAlone, running: ServiceProcess) -> tuple[str, UUID]:
    """Its progress page, and its id once it was read."""
    async with running.client() as client:
        body = {"source_id": "1", "text": "路灯不亮"}
        answer = await client.post(
            "/channels/hotline/reports", json=body, headers=city.credentials.channel("hotline")
        )
    await city.until_read()
    page = str(answer.json()["progress_url"]).removeprefix("http://intake")
    return page, await city.value("SELECT report_id FROM report")


@asynccontextmanager
async def stream(running: ServiceProcess, page: str) -> AsyncIterator[httpx.Response]:
    async with (
        running.client() as client,
        client.stream("GET", page + "/events") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield answer


async def versions(answer: httpx.Response) -> AsyncIterator[str]:
    async for name, data in events_of(answer):
        if name == "version":
            yield data


async def another(told: AsyncIterator[str], than: str) -> str:
    """The next version that is another."""
    async for version in told:
        if version != than:
            return version
    raise AssertionError("the stream has ended")


async def test_every_process_tells_what_any_of_them_took_in(intake_city: IntakeAlone) -> None:
    async with intake_city.running() as city:
        both = [await city.start(), await city.start()]
        page, report_id = await report(city, both[0])
        async with (
            stream(both[0], page) as first,
            stream(both[1], page) as second,
        ):
            told = [versions(first), versions(second)]
            before = [await anext(each) for each in told]
            assert before[0] == before[1]
            now = datetime.now(UTC)
            event = cases.CaseRegistered(
                case_id=uuid4(), seq=1, occurred_at=now, recorded_at=now, actor=SYSTEM,
                number="261122-0000001", report_id=report_id, channel=Channel.HOTLINE,
                origin=Origin.LIVE, category="unknown", reported_at=now,
                reporter_reachable=False, language=Language.CHINESE,
            )  # fmt: skip
            await city.tell(event)
            after = [await another(each, before[0]) for each in told]
            assert after[0] == after[1]
        async with both[1].client() as client:
            assert f'data-version="{after[0]}"' in (await client.get(page)).text


async def test_an_open_stream_does_not_lengthen_an_orderly_stop(intake_city: IntakeAlone) -> None:
    """It ends as a whole answer does. One that the stop had to wait for is cut off."""
    async with intake_city.running() as city:
        running = await city.start()
        page, _ = await report(city, running)
        async with stream(running, page) as answer:
            told = versions(answer)
            await anext(told)
            running.process.terminate()
            assert [each async for each in told] == []
        assert await running.end() == 0


async def test_who_has_no_link_has_no_stream_and_there_are_so_many(
    intake_city: IntakeAlone,
) -> None:
    async with intake_city.running() as city:
        running = await city.start(INTAKE_PROGRESS_STREAMS="0")
        page, _ = await report(city, running)
        async with running.client() as client:
            assert (await client.get("/progress/x/events")).status_code == 404
            refused = await client.get(page + "/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
