"""`make demo` as a person runs it: interrupted, resumed, with its figures, a second time.

Nothing personal that went in may be readable outside the vault and the short-lived topics.
"""

import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts.topics import PARTITIONS, SERVICES, TOPICS
from lastmetre.common.service.clock import RealClock
from lastmetre.devstack.demo.city import load_city
from lastmetre.devstack.demo.command import REPORTS, SEED
from lastmetre.devstack.demo.demo_state import DemoState
from lastmetre.devstack.demo.scenario import Day, make_day
from lastmetre.devstack.demo.time_lapse import AFTER_MIDNIGHT, CITY_ZONE, midnights, yesterday
from lastmetre.devstack.home import SAMPLE_CITY, Home
from tests.support import personal
from tests.support.city import City, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHORT_LIVED: Final = {topic.name for topic in TOPICS if topic.short_lived}
LASTMETRE: Final = Path(sys.executable).with_name("lastmetre")
SECONDS: Final = 280


@dataclass
class Visit:
    """A demo that was interrupted around noon, then played to the end, and is up once more."""

    home: Path
    day: Day
    first: str
    second: str
    second_began: float
    """Seconds since 1970."""

    @property
    def endpoints(self) -> dict[str, Any]:
        """Those of the running stack."""
        found: dict[str, Any] = json.loads((self.home / "endpoints.json").read_text())
        return found


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    home = tmp_path_factory.mktemp("demo") / "home"
    environment = os.environ | {"LASTMETRE_HOME": str(home), "COLUMNS": "100"}
    today = yesterday(RealClock().now())
    day = make_day(load_city(SAMPLE_CITY), today, CITY_ZONE, SEED, REPORTS)
    interrupt_at_noon(home, environment)
    first = subprocess.run(
        [LASTMETRE, "demo", "--once"],
        check=False,
        env=environment,
        capture_output=True,
        timeout=SECONDS,
    )
    assert first.returncode == 0, first.stderr.decode()
    began = time.time()
    second = subprocess.Popen(
        [LASTMETRE, "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert second.stdout
    try:
        said = "".join(until_up(second.stdout))
        if yesterday(RealClock().now()) != today:
            pytest.skip("it became midnight in the city: the second run had another day to play")
        yield Visit(home, day, first.stdout.decode(), said, began)
    finally:
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0


def interrupt_at_noon(home: Path, environment: dict[str, str]) -> None:
    """Begin the play, and stop it in the middle."""
    with subprocess.Popen(
        [LASTMETRE, "demo"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:

            def noon() -> bool:
                assert process.poll() is None
                state = DemoState.read(Home(home))
                return state is not None and is_past_noon(state)

            wait_until(noon, "noon", SECONDS)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
    state = DemoState.read(Home(home))
    assert state
    assert not state.finished


def is_past_noon(state: DemoState) -> bool:
    _, midnight = midnights(state.day)
    return bool(state.played_until and midnight - state.played_until < timedelta(hours=12))


def until_up(output: IO[bytes]) -> Iterator[str]:
    for line in output:
        yield line.decode()
        if b"Ctrl-C stops everything" in line:
            return
    raise AssertionError("the demo ended before it was up")


def figures(output: str) -> dict[str, str]:
    """The lines of the summary by what stands at their beginning."""
    panel = output.partition("Yesterday in Yunqiao")[2].partition("╰")[0]
    return dict(re.findall(r"^│  ([A-Z][a-z ]+?)  +(.*?) *│$", panel, re.MULTILINE))


def numbers(text: str) -> dict[str, int]:
    """`hotline 904   app 773` as a dictionary."""
    return {
        name.strip(): int(count.replace(",", ""))
        for name, count in re.findall(r"([a-z][a-z ]*?) ([\d,]+)", text)
    }


def first_number(text: str) -> int:
    return int(text.split()[0].replace(",", ""))


@dataclass
class Case:
    """A case as dispatch's own tables have it, its ledger as short names and times."""

    channel: str
    state: str
    reported_at: datetime
    lead_id: str | None
    ledger: list[tuple[str, datetime]]

    def last(self, step: str) -> datetime | None:
        """When that happened the last time, unless it was undone by reopening."""
        since = max((n for n, (kind, _) in enumerate(self.ledger) if kind == "reopened"), default=0)
        return next((at for kind, at in reversed(self.ledger[since:]) if kind == step), None)

    @property
    def first_response(self) -> float | None:
        """Seconds from the report to the first acceptance."""
        at = next((at for kind, at in self.ledger if kind == "accepted"), None)
        return None if at is None else (at - self.reported_at).total_seconds()

    @property
    def fixed_on_spot(self) -> bool:
        """A patrol put it right the moment it was found."""
        return self.channel == "patrol" and self.last("resolved") == self.reported_at


async def all_cases(city: City, day: date) -> list[Case]:
    dispatch = await city.database("dispatch")
    rows = await dispatch.fetch(
        'SELECT c.*, l.type, l.occurred_at FROM "case" c JOIN ledger l USING (case_id)'
        " WHERE c.reported_at >= $1 AND c.reported_at < $2 ORDER BY c.case_id, l.seq",
        *midnights(day),
    )
    found: dict[Any, Case] = {}
    for row in rows:
        case = found.setdefault(
            row["case_id"],
            Case(row["channel"], row["state"], row["reported_at"], row["lead_id"], []),
        )
        case.ledger.append((row["type"].split(".")[2], row["occurred_at"]))
    return list(found.values())


def minutes(text: str) -> int:
    """`1 h 05 min` and `12 min`."""
    match = re.match(r"(?:(\d+) h )?(\d+) min", text)
    assert match, text
    return 60 * int(match[1] or 0) + int(match[2])


async def test_the_figures_printed_are_those_counted_from_outside(visit: Visit) -> None:
    printed = figures(visit.first)
    async with City(visit.endpoints) as city:
        cases = await all_cases(city, visit.day.day)
        notify = await city.database("notify")
        scores = [row["score"] for row in await notify.fetch("SELECT score FROM rating")]
    planned = Counter(report.channel.value for report in visit.day.reports)
    assert planned.total() >= 2000
    assert first_number(printed["Reports"]) == planned.total() == len(cases)
    assert numbers(printed["Reports"].partition(" ")[2]) == planned

    merged = [case for case in cases if case.state == "merged"]
    assert [first_number(printed["Joined"])] == [len(merged)] == [1]
    cases = [case for case in cases if case not in merged]

    # Nothing was recorded while the clock was not the played day's, between the two plays.
    begin, midnight = midnights(visit.day.day)
    times = [at for case in cases for _, at in case.ledger]
    assert begin <= min(times)
    assert max(times) <= midnight + AFTER_MIDNIGHT

    states = Counter(case.state for case in cases)
    on_spot = sum(case.fixed_on_spot for case in cases)
    with_lead = [case for case in cases if case.lead_id]
    assert first_number(printed["With a lead"]) == len(with_lead)
    ways = numbers(printed["With a lead"].partition(" ")[2])
    still = len(cases) - states["closed"] - states["cancelled"] - states["unplaced"]
    assert ways == {"closed": states["closed"], "open": still, "fixed on the spot": on_spot}
    assert first_number(printed["Unplaced"]) == states["unplaced"]
    assert first_number(printed["Cancelled"]) == states["cancelled"]
    assert min(on_spot, still, states["closed"], states["unplaced"], states["cancelled"]) > 0

    answered = [
        case.first_response
        for case in cases
        if case.first_response is not None and not case.fixed_on_spot
    ]
    response = printed["Accepted within"]
    assert f"median of {len(answered):,} cases " in response
    assert abs(minutes(response) - statistics.median(answered) / 60) <= 1

    said = printed["Satisfaction"]
    assert f"from {len(scores):,} answers," in said
    assert abs(float(said.split()[0]) - statistics.mean(scores)) < 0.006
    texts = [path for path in (visit.home / "outbox").rglob("*.txt") if path.is_file()]
    assert first_number(printed["Messages sent"]) == len(texts)
    assert printed["Books"].startswith("balanced")


async def appended_since(city: City, began: float) -> dict[str, int]:
    """Topics that have taken a record since then."""
    consumer = AIOKafkaConsumer(bootstrap_servers=city.endpoints["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        places = [
            TopicPartition(topic.name, number) for topic in TOPICS for number in range(PARTITIONS)
        ]
        found = await consumer.offsets_for_times(dict.fromkeys(places, int(began * 1000)))
        return {place.topic: offset.offset for place, offset in found.items() if offset}
    finally:
        await consumer.stop()


async def test_a_second_run_adds_nothing(visit: Visit) -> None:
    assert "is already there: nothing was added" in visit.second
    assert figures(visit.second) == figures(visit.first)
    async with City(visit.endpoints) as city:
        intake = await city.database("intake")
        sent = await intake.fetch("SELECT source_id FROM report")
        assert Counter(row["source_id"] for row in sent) == Counter(
            report.source_id for report in visit.day.reports
        )
        assert await appended_since(city, visit.second_began) == {}


async def test_every_short_link_opens_its_page(visit: Visit) -> None:
    links = re.findall(r"http://[\d.:]+/\w+", visit.second)
    assert len(set(links)) >= 8
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
        for link in set(links):
            page = await browser.get(link)
            assert page.status_code == 200, link
            assert "<h1" in page.text, link
        door = next(link for link in links if link.endswith("/board"))
        stranger = await browser.get(door, headers={"Host": "evil.example"})
        assert stranger.status_code == 403
        assert (await browser.get(door + "/../nothing")).status_code == 404


async def test_nothing_personal_is_readable_outside_the_vault(visit: Visit) -> None:
    needles = personal.Needles(visit.day.reports)
    with (SAMPLE_CITY / "leads.csv").open(encoding="utf-8") as file:
        needles.add_leads(csv.DictReader(file))
    endpoints = visit.endpoints
    reporters = [report.contact for report in visit.day.reports if report.contact]
    name, phone = str(reporters[0].name), str(reporters[0].phone)
    email = next(contact.email for contact in reporters if contact.email)
    text = max(needles.words, key=len)

    # What is planted must be found, in each kind of place and however it is written there.
    async with City(endpoints) as city:
        await city.produce(
            "field.outcomes", b"planted", None, [("note", name.encode())], partition=0
        )
        dispatch = await city.database("dispatch")
        await dispatch.execute("CREATE TABLE planted (sealed bytea, said json)")
        await dispatch.execute(
            "INSERT INTO planted VALUES ($1, $2)", phone.encode(), personal.as_json(text).decode()
        )
        log = visit.home / "logs" / "planted.log"
        log.write_text(f'{{"event": "mail to {email} refused"}}\n')
        pages = {
            f"{service}/metrics": (await city.http.get(city.url(service, "/metrics"))).content
            for service in SERVICES
        }
    topics = await personal.topics(endpoints["KAFKA_BOOTSTRAP_SERVERS"])
    tables = await personal.tables(endpoints["databases"])
    files = personal.files(visit.home, "data", "outbox")

    went_in = personal.search(needles, {k: v for k, v in topics.items() if k in SHORT_LIVED})
    assert {needle for _, needle in went_in} >= needles.words
    assert all(
        len(tables[f"{service} public.{table}"]) > 100_000
        for service, table in (("intake", "vault"), ("dispatch", "ledger"), ("metrics", "fact"))
    )
    elsewhere = {name: content for name, content in topics.items() if name not in SHORT_LIVED}
    found = personal.search(needles, elsewhere, tables, files, pages)
    assert found == {
        ("field.outcomes", name),
        ("dispatch public.planted", phone),
        ("dispatch public.planted", text),
        ("logs/planted.log", email),
    }
