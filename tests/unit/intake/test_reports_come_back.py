"""A database that went back: the same record is the same report, and brings its contents again."""

import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from lastmetre.common.categories import Categories, Category
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.gazetteer.finding import LIMITS
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, kafka_headers
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.ids import IdGenerator, milliseconds_of
from lastmetre.intake.adapters.postgres.reports import (
    AdoptedReport,
    DuplicateRecord,
    KnownReport,
    NewReport,
    RecordPosition,
)
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application import adopt_log, ingest_reports
from lastmetre.intake.application.adopt_log import adopt_reports
from lastmetre.intake.application.ingest_reports import IngestReports, report_id_of
from lastmetre.intake.application.pass_on_reports import PassOnReports
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.places_in_words import PlacesInWords
from lastmetre.intake.entrypoints.consumers import Consumers
from tests.unit.gazetteer.drawn_map import GAZETTEER
from tests.unit.intake.test_follow_cases import NOW

APPENDED_AT = 1_790_000_000_123
HEADERS = [
    ("ce_type", b"lastmetre.report.submitted.v1"),
    ("ce_source", b"/channels/app/partner"),
]

RUBBISH = Category(code="06010", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"))


class Reports:
    """The tables of reports, in memory, as `store.reports` has them."""

    def __init__(self) -> None:
        self.rows: dict[UUID, dict[str, Any]] = {}
        self.vault: dict[UUID, bytes] = {}
        self.later: dict[RecordPosition, DuplicateRecord] = {}

    def _of(self, identity: bytes) -> dict[str, Any] | None:
        return next((row for row in self.rows.values() if row["identity"] == identity), None)

    async def insert(self, _: Any, reports: Sequence[NewReport]) -> set[bytes]:
        new = [each for each in reports if self._of(each.identity) is None]
        self.rows |= {each.report_id: each._asdict() | {"missing": False} for each in new}
        return {each.identity for each in new}

    async def known_ids(self, _: Any, report_ids: Sequence[UUID]) -> set[UUID]:
        return set(report_ids) & self.rows.keys()

    async def adopt(self, _: Any, reports: Sequence[AdoptedReport]) -> set[UUID]:
        new = [each for each in reports if self._of(each.identity) is None]
        nothing = dict.fromkeys(("sender", "source_id", "fingerprint", "sent_position"))
        self.rows |= {each.report_id: nothing | each._asdict() | {"missing": True} for each in new}
        return {each.report_id for each in new}

    async def known(self, _: Any, identities: Sequence[bytes]) -> dict[bytes, KnownReport]:
        return {
            identity: KnownReport(
                row["report_id"],
                row["fingerprint"],
                RecordPosition(row["topic"], row["partition"], row["offset"], row["appended_at"]),
            )
            for identity in identities
            if (row := self._of(identity)) is not None
        }

    async def fill_in(self, _: Any, reports: Sequence[NewReport]) -> None:
        for each in reports:
            row = self.rows[each.report_id]
            names = ["sender", "source_id", "fingerprint", "sent_position"]
            if row["outcome"] == "rejected":
                names += ["category", "latitude", "longitude"]
            row |= {name: getattr(each, name) for name in names} | {"missing": False}

    async def insert_vault(self, _: Any, rows: Sequence[tuple[UUID, bytes]]) -> None:
        for report_id, sealed in rows:
            assert report_id not in self.vault
            self.vault[report_id] = sealed

    async def insert_later(self, _: Any, records: Sequence[DuplicateRecord]) -> None:
        self.later = {each.place: each for each in records} | self.later

    async def conflicts(self, _: Any, report_ids: Sequence[UUID]) -> list[DuplicateRecord]:
        found = [each for each in self.later.values() if each.report_id in report_ids]
        return [each for each in found if each.outcome == "conflict"]

    async def conflicts_were_repetitions(self, _: Any, places: Sequence[RecordPosition]) -> None:
        for place in places:
            self.later[place] = self.later[place]._replace(outcome="repeated", sealed=None)

    def outcomes(self) -> dict[tuple[int, int], str]:
        """By partition and offset."""
        rows = {(row["partition"], row["offset"]): row["outcome"] for row in self.rows.values()}
        return rows | {
            (place.partition, place.offset): each.outcome for place, each in self.later.items()
        }


class Work:
    """What a unit of work collects."""

    connection = None
    now = NOW

    def __init__(self) -> None:
        self.sent: list[OutboxMessage] = []
        self.dead: list[str] = []

    def send(self, outgoing: OutboxMessage) -> None:
        self.sent.append(outgoing)

    def dead_letter(self, _: ConsumedRecord, error: str) -> None:
        self.dead.append(error)


class Intake:
    """Intake's reading and taking in, on tables that can be exchanged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.links = SignedLinks(b"k" * 32)
        self.vault = Vault(b"v" * 32)
        self._consumers = Consumers(
            IngestReports(
                links=self.links,
                identities=IdGenerator(),
                vault=self.vault,
                categories=CategoryCodes(
                    Categories(
                        [Category(code="06010", name=LocalName(zh="暴露垃圾", en="Rubbish"))]
                    )
                ),
                check=ContactCheck("CN"),
                places=PlacesInWords(GAZETTEER, LIMITS),
                city_time=lambda at: at,
            ),
            PassOnReports(cast("SubmitReports", None), []),
        )
        self.reports = Reports()
        self.forget()

    def forget(self) -> None:
        """The database is as it was before anything."""
        self.reports = Reports()
        self._monkeypatch.setattr(ingest_reports, "store", self.reports)
        self._monkeypatch.setattr(adopt_log, "store", self.reports)

    async def read(self, *records: ConsumedRecord) -> list[OutboxMessage]:
        """One batch; returns what was sent."""
        work = Work()
        await self._consumers.reports(cast("UnitOfWork", work), records)
        assert work.dead == []
        return work.sent

    async def adopt(self, told: Sequence[OutboxMessage]) -> int:
        """What was told is found on the topic."""
        records = [
            ConsumedRecord(
                "reports", 0, offset, 0, each.key, each.value, kafka_headers(each.headers)
            )
            for offset, each in enumerate(told)
        ]
        return await adopt_reports(cast("UnitOfWork", Work()), records)


def record(
    partition: int, offset: int, *, source_id: str = "1", at: int = APPENDED_AT, **body: Any
) -> ConsumedRecord:
    report = {"source_id": source_id, "text": "路灯不亮", "category": "06010"} | body
    value = json.dumps(report).encode()
    return ConsumedRecord("channels.app", partition, offset, at, b"key", value, HEADERS)


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> Intake:
    return Intake(monkeypatch)


POSITION = {"latitude": 23.1, "longitude": 113.3}
COUNTS = record(1, 7, position=POSITION, contact={"phone": "13800138000"})
REPEATED = record(0, 3, at=APPENDED_AT + 50, position=POSITION, contact={"phone": "13800138000"})
CONFLICT = record(0, 4, at=APPENDED_AT + 60, text="another")


async def test_the_same_record_is_the_same_report(intake: Intake) -> None:
    first = await intake.read(COUNTS)
    intake.forget()
    again = await intake.read(COUNTS)
    assert [each.key for each in again] == [each.key for each in first]
    [report_id] = intake.reports.rows
    assert milliseconds_of(report_id) == APPENDED_AT


def test_another_append_time_or_identity_is_another_report() -> None:
    ids = {report_id_of(b"one", 1), report_id_of(b"one", 2), report_id_of(b"two", 1)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "batches",
    [
        [[COUNTS, REPEATED, CONFLICT]],
        [[REPEATED, CONFLICT, COUNTS]],
        [[COUNTS], [REPEATED], [CONFLICT]],
        [[REPEATED], [CONFLICT], [COUNTS]],
        [[CONFLICT], [COUNTS], [REPEATED]],
        [[REPEATED, CONFLICT], [COUNTS], [COUNTS]],
    ],
)
async def test_whatever_is_read_first_the_record_that_counted_counts(
    intake: Intake, batches: list[list[ConsumedRecord]]
) -> None:
    told = await intake.read(COUNTS)
    await intake.read(REPEATED, CONFLICT)
    before = intake.reports
    assert before.outcomes() == {(1, 7): "accepted", (0, 3): "repeated", (0, 4): "conflict"}
    intake.forget()
    assert await intake.adopt(told) == 1
    for batch in batches:
        assert await intake.read(*batch) == [], "what was told already is not told again"
    assert intake.reports.rows == before.rows
    assert intake.reports.outcomes() == before.outcomes()
    [report_id] = before.rows
    opened = [
        json.loads(intake.vault.open(each.vault[report_id], report_id.bytes))
        for each in (before, intake.reports)
    ]
    assert opened[0] == opened[1] == {"phone": "13800138000", "usable_phone": "+8613800138000",
                                      "text": "路灯不亮"}  # fmt: skip


async def test_a_rejected_report_comes_back_as_it_was(intake: Intake) -> None:
    ahead = record(2, 0, reported_at="2199-12-31T00:00:00Z")
    told = await intake.read(ahead)
    before = intake.reports
    intake.forget()
    assert await intake.adopt(told) == 1
    [row] = intake.reports.rows.values()
    assert (row["outcome"], row["reasons"]) == ("rejected", "reported_in_the_future")
    assert await intake.read(ahead) == []
    assert intake.reports.rows == before.rows


async def test_contents_that_are_gone_stay_missing_and_the_report_keeps_what_was_told(
    intake: Intake,
) -> None:
    told = await intake.read(COUNTS)
    [known] = intake.reports.rows.values()
    intake.forget()
    await intake.adopt(told)
    [row] = intake.reports.rows.values()
    assert row["missing"]
    assert intake.reports.vault == {}
    same = ("report_id", "identity", "outcome", "category", "latitude", "longitude", "reported_at",
            "topic", "partition", "offset", "appended_at")  # fmt: skip
    assert {name: row[name] for name in same} == {name: known[name] for name in same}


async def test_what_is_known_is_not_taken_in_again(intake: Intake) -> None:
    told = [*await intake.read(COUNTS), *await intake.read(record(1, 8, source_id="2"))]
    rows = deepcopy(intake.reports.rows)
    assert await intake.adopt(told) == 0
    assert intake.reports.rows == rows
    intake.forget()
    assert await intake.adopt(told) == 2
    assert await intake.adopt(told) == 0


def _nameless(body: bytes) -> bytes:
    told = json.loads(body)
    del told["came_from"]
    return json.dumps(told).encode()


async def test_what_an_older_build_told_names_no_record(intake: Intake) -> None:
    told = await intake.read(COUNTS, record(1, 9, source_id="3", text=None, category=None))
    without = [each._replace(value=_nameless(each.value or b"")) for each in told]
    intake.forget()
    assert await intake.adopt(without) == 0
    assert intake.reports.rows == {}


async def test_a_place_found_in_words_is_told_and_is_not_what_was_sent(intake: Intake) -> None:
    """Nor is it looked for again when the report comes back from the log."""
    said = record(1, 9, source_id="5", address="长安镇振安东路118号")
    told = await intake.read(said)
    message = ReportAccepted.from_json(told[0].value or b"")
    words = message.place_in_words
    assert words
    assert words.known
    assert (message.position, message.accuracy_metres) == (words.known.position, 30)
    before = intake.reports
    [row] = before.rows.values()
    assert (row["latitude"], row["longitude"], row["sent_position"]) == (None, None, None)
    intake.forget()
    assert await intake.adopt(told) == 1
    assert await intake.read(said) == []
    assert intake.reports.rows == before.rows


async def test_21_the_accuracy_of_a_place_is_told(intake: Intake) -> None:
    place = {"latitude": 23.0, "longitude": 113.7, "accuracy_metres": 3000}
    [told] = await intake.read(record(1, 9, source_id="4", position=place))
    assert ReportAccepted.from_json(told.value or b"").accuracy_metres == 3000


async def test_what_is_told_says_nothing_that_opens_a_page(intake: Intake) -> None:
    """The identity is on the topic, the tags that make links of it are not."""
    [told] = await intake.read(COUNTS)
    message = ReportAccepted.from_json(told.value or b"")
    assert message.came_from is not None
    assert message.came_from.identity == intake.links.receipt_identity("partner", "app", "1").hex()
    assert (message.came_from.topic, message.came_from.partition, message.came_from.offset) == (
        "channels.app", 1, 7,
    )  # fmt: skip
    assert message.received_at == datetime.fromtimestamp(APPENDED_AT / 1000, UTC)
