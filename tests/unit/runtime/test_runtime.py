"""The runtime's pure parts, against other implementations and arithmetic by hand."""

import base64
import hmac
import os
import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.clock import RealClock, TimeLapse, TimeLapseClock
from lastmetre.common.service.ids import DrawnAhead, IdGenerator

LINKS = SignedLinks(b"k" * 32)


@given(st.lists(st.binary(max_size=70), max_size=40), st.integers(1, 97))
def test_partitions_are_those_of_kafkas_own_clients(keys: list[bytes], partitions: int) -> None:
    expected = [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert partitions_of(keys, partitions) == expected


def test_partitions_of_the_java_clients_own_test_vectors() -> None:
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    vectors = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107}
    assert partitions_of(list(vectors), 2**31 - 1) == [v & 0x7FFFFFFF for v in vectors.values()]


@given(st.text(), st.text(), st.text())
def test_a_receipt_opens_only_what_it_is_for(sender: str, channel: str, source_id: str) -> None:
    try:
        identity = LINKS.receipt_identity(sender, channel, source_id)
    except UnicodeEncodeError:
        return  # a lone surrogate never gets past the contracts
    receipt = LINKS.seal(LinkPurpose.RECEIPT, identity)
    assert LINKS.open(LinkPurpose.RECEIPT, receipt) == identity
    assert LINKS.open(LinkPurpose.RECEIPT, receipt.upper()) == identity
    assert LINKS.open(LinkPurpose.PROGRESS, receipt) is None
    assert SignedLinks(b"o" * 32).open(LinkPurpose.RECEIPT, receipt) is None


@pytest.mark.parametrize("secret", ["", "a", "1", "ünïcode", "=" * 8, "a" * 5000, "../etc", "\0"])
def test_a_secret_that_we_did_not_make_opens_nothing(secret: str) -> None:
    assert LINKS.open(LinkPurpose.RECEIPT, secret) is None


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", max_size=60))
def test_a_guessed_secret_opens_nothing(secret: str) -> None:
    assert LINKS.open(LinkPurpose.PROGRESS, secret) is None


def test_a_time_lapse_stands_runs_and_ends_in_real_time() -> None:
    anchor = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    lapse = TimeLapse(
        epoch=datetime(2026, 11, 23, 0, 0, tzinfo=UTC),
        anchor=anchor,
        speed=1440,
        until=datetime(2026, 11, 24, 0, 0, tzinfo=UTC),
    )
    assert lapse.at(anchor - timedelta(hours=1)) == lapse.epoch
    assert lapse.at(anchor + timedelta(seconds=30)) == lapse.epoch + timedelta(hours=12)
    assert lapse.at(anchor + timedelta(seconds=61)) == anchor + timedelta(seconds=61)


def test_a_clock_follows_the_time_lapse_in_its_file_as_soon_as_there_is_one(
    tmp_path: Path,
) -> None:
    anchor = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    lapse = TimeLapse(
        epoch=datetime(2026, 11, 23, 0, 0, tzinfo=UTC),
        anchor=anchor,
        speed=1440,
        until=datetime(2026, 11, 24, 0, 0, tzinfo=UTC),
    )
    file = tmp_path / "lapse.json"
    clock = TimeLapseClock(file, RealClock())
    assert clock.at(anchor) == anchor
    file.write_text(lapse.model_dump_json())
    assert clock.at(anchor) == lapse.epoch
    assert clock.at(anchor + timedelta(seconds=30)) == lapse.epoch + timedelta(hours=12)
    slower = {
        "epoch": lapse.epoch + timedelta(hours=12),
        "anchor": anchor + timedelta(seconds=30),
        "speed": 60,
    }
    file.write_text(lapse.model_copy(update=slower).model_dump_json())
    os.utime(file, ns=(0, 0))
    assert clock.at(anchor + timedelta(seconds=90)) == lapse.epoch + timedelta(hours=13)


def test_a_receipt_is_an_hmac_of_the_reports_identity() -> None:
    identity = LINKS.receipt_identity("bench", "hotline", "26-0418")
    assert identity == hmac.digest(b"k" * 32, b"identity\0bench\0hotline\x0026-0418", "sha256")[:12]
    sealed = base64.b32decode(LINKS.seal(LinkPurpose.RECEIPT, identity).upper())
    assert sealed == identity + hmac.digest(b"k" * 32, b"receipt\0" + identity, "sha256")[:3]


def test_no_random_byte_is_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(1)
    system: list[bytes] = []

    def urandom(size: int) -> bytes:
        system.append(drawn.randbytes(size))
        return system[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    source = DrawnAhead()
    sizes = [74, 192, 8, 1] * 200
    made = [source.getrandbits(bits) for bits in sizes]
    unused = [iter(each) for each in system]
    expected = []
    for bits in sizes:
        size = -(-bits // 8)
        taken = bytes(islice(unused[0], size))
        if len(taken) < size:  # what is left of a draw is thrown away
            unused.pop(0)
            taken = bytes(islice(unused[0], size))
        expected.append(int.from_bytes(taken) // 2 ** (8 * size - bits))
    assert made == expected
    assert len(system) == 2


def test_ids_are_version_7_and_sort_by_time() -> None:
    identities = IdGenerator(random.Random(1))
    start = datetime(2026, 11, 22, tzinfo=UTC)
    made = [identities.uuid7(start + timedelta(milliseconds=i)) for i in range(100)]
    assert made == sorted(made)
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert made[1].int >> 80 == int(start.timestamp() * 1000) + 1


@given(st.text(alphabet="ab\n\r{}\"'é片", min_size=1), st.text(alphabet="ab\n0/", min_size=1))
def test_headers_come_out_of_the_outbox_as_they_went_in(key: str, source: str) -> None:
    """Whatever a value holds: line breaks, too, which else part one header from the next."""
    now = datetime(2026, 11, 22, 8, 3, 41, tzinfo=UTC)
    case = CaseAccepted(case_id=UUID(int=1), seq=3, occurred_at=now, recorded_at=now, actor=SYSTEM)
    outgoing = cloud_event(
        case, topic="t", key=key, event_id="1:3", source=source, occurred_at=now, recorded_at=now,
        traceparent="00-aa-bb-01",
    )  # fmt: skip
    assert kafka_headers(outgoing.headers) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1:3"),
        ("ce_type", b"lastmetre.case.accepted.v1"),
        ("ce_source", source.encode()),
        ("ce_subject", key.encode()),
        ("ce_time", b"2026-11-22T08:03:41Z"),
        ("ce_recordedtime", b"2026-11-22T08:03:41Z"),
        ("traceparent", b"00-aa-bb-01"),
        ("content-type", b"application/json"),
    ]
