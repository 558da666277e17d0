"""Cases of several reports, on `/indicators` and on the board: a case counts once, a report as one.

Each story has days of its own, so one city holds them all; what is expected was counted by hand.
"""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from lastmetre.common.contracts.base import Channel, Language, Message, Origin
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import MetricsAlone
from tests.support.databases import fresh_database
from tests.unit.metrics.ledgers import Step, ledger, step

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HOTLINE, APP, PATROL = Channel.HOTLINE, Channel.APP, Channel.PATROL
DAY: Final = timedelta(days=1)
NOON: Final = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""Of the first day in Shanghai."""


class Report(NamedTuple):
    """A report that came on a day of the story."""

    report_id: UUID
    channel: Channel
    day: int = 0
    accepted: bool = True


class Case(NamedTuple):
    """A case that one of the reports began, and what became of it."""

    report: Report
    steps: Sequence[Step] = ()


class Figures(NamedTuple):
    """What a day's figures say, on both."""

    cases: int
    reports: int
    by_channel: dict[str, int]
    """Cases, as the board shows them below the hours."""
    merged: int = 0
    rejected: int = 0
    answers: int = 0
    closed: int = 0


class Story(NamedTuple):
    """Reports, the cases that they became, and each day's figures."""

    reports: Sequence[Report]
    cases: Sequence[Case]
    days: Sequence[Figures]


def report(channel: Channel, day: int = 0, *, accepted: bool = True) -> Report:
    return Report(uuid4(), channel, day, accepted)


def merged(joining: Report) -> Step:
    return step(
        "report_merged", 60 * 24 * joining.day + 1, report_id=joining.report_id,
        channel=joining.channel,
    )  # fmt: skip


def split(leaving: Report) -> Step:
    return step("report_split", 2, report_id=leaving.report_id, split_case_id=uuid4())


def counts(hotline: int = 0, app: int = 0, patrol: int = 0) -> dict[str, int]:
    return {"hotline": hotline, "app": app, "patrol": patrol}


def two_channels() -> Story:
    call, photo = report(HOTLINE), report(APP)
    return Story(
        [call, photo], [Case(call, [merged(photo)])], [Figures(1, 2, counts(hotline=1), merged=1)]
    )


def joined_and_left() -> Story:
    call, photo = report(HOTLINE), report(APP)
    return Story(
        [call, photo],
        [Case(call, [merged(photo), split(photo)]), Case(photo)],
        [Figures(2, 2, counts(hotline=1, app=1))],
    )


def joined_on_the_next_day() -> Story:
    first, second = report(APP), report(APP, day=1)
    return Story(
        [first, second],
        [Case(first, [merged(second)])],
        [Figures(1, 1, counts(app=1), merged=1), Figures(0, 1, counts())],
    )


def many_and_one_refused() -> Story:
    first, *others = (report(PATROL) for _ in range(5))
    refused = report(APP, accepted=False)
    return Story(
        [first, *others, refused],
        [Case(first, [merged(each) for each in others])],
        [Figures(1, 6, counts(patrol=1), merged=4, rejected=1)],
    )


def closed_and_rated_with_two() -> Story:
    call, photo = report(HOTLINE), report(APP)
    way = [
        step("dispatched"), step("accepted", 5), merged(photo), step("resolved", 50),
        step("verified", 60), step("closed", 61), step("rated", 90, closing=7),
    ]  # fmt: skip
    return Story(
        [call, photo],
        [Case(call, way)],
        [Figures(1, 2, counts(hotline=1), merged=1, answers=1, closed=1)],
    )


STORIES: Final = {
    story.__name__: story()
    for story in (
        two_channels,
        joined_and_left,
        joined_on_the_next_day,
        many_and_one_refused,
        closed_and_rated_with_two,
    )
}


def began(name: str) -> datetime:
    """Noon of a story's first day: between two there is a day without anything."""
    return NOON + 3 * DAY * list(STORIES).index(name)


def said(each: Report, at: datetime) -> Message:
    known: dict[str, Any] = {
        "report_id": each.report_id, "channel": each.channel, "origin": Origin.LIVE,
        "reported_at": at, "received_at": at,
    }  # fmt: skip
    if not each.accepted:
        return ReportRejected(**known, reasons=("says_nothing",))
    return ReportAccepted(
        **known, category="06010", reporter_reachable=True, language=Language.CHINESE
    )


def messages(name: str, number: int) -> list[Message]:
    story, first = STORIES[name], began(name)
    told = [said(each, first + DAY * each.day) for each in story.reports]
    for n, case in enumerate(story.cases):
        registered = step(
            "registered", report_id=case.report.report_id, channel=case.report.channel,
            number=f"260302-{number:02}{n:02}",
        )  # fmt: skip
        case_id = uuid4()
        events = ledger(registered, *case.steps, case_id=case_id, reported_at=first)
        told += events
    return told


@pytest.fixture(scope="module")
def database(stack: Stack) -> str:
    return fresh_database(stack, "metrics")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metrics(
    stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MetricsAlone]:
    folder = tmp_path_factory.mktemp("metrics")
    alone = MetricsAlone(stack.endpoints.bootstrap_servers, database, folder)
    async with alone.running() as running:
        await running.start()
        told = [each for n, name in enumerate(STORIES) for each in messages(name, n)]
        events = sum(isinstance(each, CaseEvent) for each in told)
        await running.tell(*told)
        await running.until("SELECT sum(seq) FROM fact", events)
        await running.until("SELECT count(*) FROM report", len(told) - events)
        yield running


async def indicators(metrics: MetricsAlone, day: date, *by: str) -> list[dict[str, Any]]:
    query = {"from": str(day), "to": str(day)} | ({"by": ",".join(by)} if by else {})
    async with metrics.client(Role.SUPERVISOR) as client:
        answer = await client.get("/indicators", params=query)
    groups: list[dict[str, Any]] = answer.raise_for_status().json()["groups"]
    return groups


def number_in(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("name", STORIES)
async def test_indicators(metrics: MetricsAlone, name: str) -> None:
    for n, expected in enumerate(STORIES[name].days):
        day = (began(name) + DAY * n).date()
        [found] = await indicators(metrics, day)
        accepted = expected.reports - expected.rejected
        assert found["reports"] == {
            "reported": expected.reports,
            "accepted": accepted,
            "rejected": expected.rejected,
            "rejected_by_reason": {"says_nothing": 1} if expected.rejected else {},
            "valid_report_rate": accepted / expected.reports,
        }
        cases = found["cases"]
        assert (cases["registered"], cases["merged_reports"]) == (expected.cases, expected.merged)
        assert (cases["closed"], cases["open"]) == (
            expected.closed, expected.cases - expected.closed,
        )  # fmt: skip
        assert found["response_times"]["whole"]["n"] == expected.closed
        assert found["satisfaction"] is None or found["satisfaction"]["answers"] == expected.answers
        by_channel = {
            each["key"]["channel"]: each for each in await indicators(metrics, day, "channel")
        }
        assert (
            counts()
            | {channel: each["cases"]["registered"] for channel, each in by_channel.items()}
            == expected.by_channel
        )
        for each in by_channel.values():
            # A share of reports is of these reports: it is never more than all of them.
            assert (each["reports"]["valid_report_rate"] or 0) <= 1


@pytest.mark.parametrize("name", STORIES)
async def test_the_board_says_the_same(metrics: MetricsAlone, name: str) -> None:
    for n, expected in enumerate(STORIES[name].days):
        day = (began(name) + DAY * n).date()
        async with metrics.client(Role.SUPERVISOR) as client:
            page = await client.get("/board/live", params={"day": str(day), "lang": "en"})
        text = re.sub(r"\s+", " ", page.raise_for_status().text)
        assert number_in(r'<p class="quiet small">(\d+) cases?', text) == expected.cases
        assert number_in(r'<dt>Reports</dt><dd class="v">(\d+)<', text) == expected.reports
        channels = re.search(r"Hotline (\d+) · App (\d+) · Patrol (\d+)", text)
        found = counts(*map(int, channels.groups())) if channels else counts()
        assert found == expected.by_channel
        if expected.rejected:
            assert "83.3% valid" in text
            assert "1 rejected" in text
