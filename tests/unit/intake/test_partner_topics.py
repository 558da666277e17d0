"""Raw records of a partner's topic: read by its mapping, sent to the channel, or dead letters."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.adapters.settings_files import partner_topics
from lastmetre.intake.application.ingest_reports import IngestReports
from lastmetre.intake.application.pass_on_reports import PassOnReports
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.partner_topics import PORTION, in_portions
from lastmetre.intake.domain.submission import NotAcknowledged
from lastmetre.intake.entrypoints.consumers import Consumers

TOPIC = "river.events"
GOOD = {"topic": TOPIC, "channel": "patrol", "sender": "river-patrol", "mapping": "river"}


class Submit:
    """Holds what was sent; away, it is never acknowledged."""

    def __init__(self) -> None:
        self.sent: list[tuple[Channel, str, list[str], bytes | None]] = []
        self.away = False

    async def __call__(
        self, channel: Channel, sender: str, reports: Sequence[ReportSubmitted], trace: bytes | None
    ) -> None:
        if self.away:
            raise NotAcknowledged("no acknowledgement in time")
        self.sent.append((channel, sender, [each.source_id for each in reports], trace))


class Work:
    """Holds the dead letters."""

    def __init__(self) -> None:
        self.dead: list[tuple[int, str]] = []

    def dead_letter(self, record: ConsumedRecord, error: str) -> None:
        self.dead.append((record.offset, error))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "river.yaml").write_text(
        "reads: json\nsource_id: fid\nreported_at: ts\ntimes: {format: unix seconds}\ntext: memo\n"
    )
    return tmp_path


def declared(folder: Path, *entries: dict[str, Any]) -> Path:
    file = folder / "topics.json"
    file.write_text(json.dumps(entries))
    return file


async def handled(folder: Path, submit: Submit, *bodies: bytes | None) -> Work:
    topics = partner_topics(declared(folder, GOOD), folder)
    pass_on = PassOnReports(cast("SubmitReports", submit), topics)
    consumers = Consumers(cast("IngestReports", None), pass_on)
    records = [
        ConsumedRecord(TOPIC, 3, offset, 1_790_000_000_000, None, body, [], span="00-a-b-01")
        for offset, body in enumerate(bodies)
    ]
    work = Work()
    await consumers.partners(cast("UnitOfWork", work), records)
    return work


async def test_what_can_be_read_goes_to_the_channel_the_rest_to_the_dead_letters(
    folder: Path,
) -> None:
    submit = Submit()
    work = await handled(
        folder, submit,
        b'\xef\xbb\xbf{"fid": 1, "memo": "x"}', b"{", None, b"[]", b'{"fid": 2, "ts": "138001"}',
        b'{"memo": "13800138000"}', b'{"fid": 3, "ts": "private"}',
    )  # fmt: skip
    assert submit.sent == [(Channel.PATROL, "river-patrol", ["1", "2"], b"00-a-b-01")]
    assert [offset for offset, _ in work.dead] == [1, 2, 3, 5, 6]
    reasons = [reason for _, reason in work.dead]
    assert reasons[:3] == [
        "the body is not JSON in UTF-8", "the record has no body", "the body is no JSON object",
    ]  # fmt: skip
    assert reasons[3].startswith("by river/1/")
    assert reasons[3].endswith(": fid is empty")
    assert reasons[4].endswith(": ts: … is not a time as unix seconds")


async def test_what_kafka_does_not_acknowledge_waits(folder: Path) -> None:
    submit = Submit()
    submit.away = True
    with pytest.raises(NotAcknowledged):
        await handled(folder, submit, b'{"fid": 1, "memo": "x"}')


def test_portions_keep_the_order_and_stay_below_what_may_be_in_flight() -> None:
    reports = [
        ReportSubmitted(source_id=str(number), sent="x" * 100_000 if number % 3 else None)
        for number in range(50)
    ]
    portions = list(in_portions(reports))
    assert [each for portion in portions for each in portion] == reports
    assert 4 <= len(portions) <= 6
    assert all(sum(len(each.sent or "") for each in portion) <= PORTION for portion in portions)
    assert list(in_portions([])) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"topic": "channels.app"}, "is a topic of ours"),
        ({"topic": "a topic"}, "String should match"),
        ({"channel": "fax"}, "channel"),
        ({"sender": "a/b"}, "cannot be a sender's name"),
        ({"sender": "web-form"}, "is our own form"),
        ({"history": True}, "Extra inputs"),
    ],
)
def test_what_cannot_be_used_ends_the_start(
    folder: Path, changed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        partner_topics(declared(folder, GOOD | changed), folder)


def test_a_topic_stands_once_and_none_is_none(folder: Path) -> None:
    assert partner_topics(None, None) == []
    with pytest.raises(ValueError, match="stands there twice"):
        partner_topics(declared(folder, GOOD, GOOD), folder)
