"""`lastmetre ledger`: the topic case.events into files and S3, and back into an empty topic."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer
from obstore.store import LocalStore
from rich.progress import Progress

from lastmetre.cli.console import Bar, Trouble
from lastmetre.cli.ledger.archive import Archive, Manifest
from lastmetre.cli.ledger.exporting import export_ledger
from lastmetre.common.contracts.topics import CASE_EVENTS, SERVICES
from lastmetre.common.kafka.topic_reader import open_topics
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.devstack import Stack
from tests.support import books
from tests.support.city import City
from tests.support.city.own import own_city
from tests.support.commands import attempt, lastmetre
from tests.support.s3 import s3_server
from tests.support.topics import delete_topics, make_topics, records_of

EXPORTED: Final = re.compile(r"^lastmetre_ledger_exported_timestamp_seconds (\S+)$", re.MULTILINE)
Sent = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
ODD: Sequence[Sent] = [
    (b"a", '{"text": "井盖"}'.encode(), (("ce_id", b"a:1"),)),
    (b"a", b"\xff\x00\n", (("ce_id", b"a:2"), ("ce_id", b"\xfe"), ("none", None))),
    (None, b"without a key", ()),
    (b"without a value", None, ()),
    (b"", b"", (("", b""),)),
]


class Topic:
    """`case.events` of a city without services; `environment` leads a command there."""

    def __init__(self, stack: Stack) -> None:
        self.bootstrap = stack.endpoints.bootstrap_servers
        self.prefix = f"ledger{secrets.token_hex(3)}."
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            "LASTMETRE_HOME": "/nowhere",
        }

    async def write(self, records: Sequence[Sent], partition: int) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for key, value, headers in records:
                await producer.send_and_wait(
                    self.prefix + CASE_EVENTS,
                    value,
                    key=key,
                    partition=partition,
                    headers=list(headers),
                )
        finally:
            await producer.stop()

    async def sent(self) -> dict[int, list[Sent]]:
        """What producers gave, by partition in order, as aiokafka reads it."""
        found: dict[int, list[Sent]] = {}
        for each in await records_of(self.bootstrap, self.prefix + CASE_EVENTS):
            found.setdefault(each.partition, []).append((each.key, each.value, each.headers))
        return found

    async def ledger(
        self, *words: str, environment: Mapping[str, str] | None = None, code: int = 0
    ) -> dict[str, Any]:
        """The document of `lastmetre ledger … --json`, or what was complained of."""
        told = self.environment | dict(environment or {})
        ended, said, complained = await attempt(None, "ledger", *words, "--json", **told)
        assert ended == code, f"{said}\n{complained}"
        document: dict[str, Any] = json.loads(said) if said else {"complained": complained}
        return document


@pytest.fixture
async def topic(stack: Stack) -> AsyncIterator[Topic]:
    """Empty."""
    async for each in _topic(stack):
        yield each


@pytest.fixture
async def another(stack: Stack) -> AsyncIterator[Topic]:
    """Empty, too."""
    async for each in _topic(stack):
        yield each


async def _topic(stack: Stack) -> AsyncIterator[Topic]:
    made = Topic(stack)
    await make_topics(made.bootstrap, made.prefix, [CASE_EVENTS])
    yield made
    await delete_topics(made.bootstrap, made.prefix, [CASE_EVENTS])


async def test_any_record_goes_into_s3_and_back(
    topic: Topic, another: Topic, tmp_path: Path
) -> None:
    place = "s3://backups/city/ledger"
    await topic.write(ODD, 3)
    await topic.write(ODD[:1], 11)
    async with s3_server(tmp_path) as told:
        first = await topic.ledger("export", place, environment=told)
        assert (first["records"], first["records_in_archive"]) == (6, 6)
        await topic.write(ODD[1:], 3)
        assert (await topic.ledger("export", place, environment=told))["records"] == 4
        assert (await topic.ledger("export", place, environment=told))["records"] == 0

        rehearsed = await another.ledger("import", place, "--dry-run", environment=told)
        assert (rehearsed["records"], rehearsed["dry_run"]) == (10, True)
        assert await another.sent() == {}
        assert (await another.ledger("import", place, environment=told))["offsets_kept"] is True
        assert await another.sent() == await topic.sent() == {3: [*ODD, *ODD[1:]], 11: [ODD[0]]}
        again = await another.ledger("import", place, "--dry-run", code=1, environment=told)
        assert "is not empty" in again["complained"]
        refused = await another.ledger("export", place, code=1, environment=told)
        assert "is of another topic" in refused["complained"]

        compared = await another.ledger("verify", place, "--topic", code=1, environment=told)
        assert (compared["records"], compared["on_topic"]) == (10, 10)
        assert compared["differences"] == [
            f"case.events/3/{offset} names no event" for offset in (2, 3, 4, 6, 7, 8)
        ]


class CutOff(Archive):
    """An archive whose disk is full after some parts: the file is there, the manifest is not."""

    parts_left = 2

    async def keep_manifest(self, manifest: Manifest) -> None:
        if self.parts_left == 0:
            raise Trouble("cut off")
        self.parts_left -= 1
        await super().keep_manifest(manifest)


async def export(topic: Topic, archive: Archive) -> int:
    """Export with a part for each record; how many were written."""
    with Progress(disable=True) as progress:
        async with open_topics(topic.bootstrap, topic.prefix) as topics:
            bar = Bar(progress, "", 0)
            return (await export_ledger(topics, None, archive, bar, part_bytes=1)).records


async def test_an_export_that_was_cut_off_goes_on_from_what_is_whole(
    topic: Topic, tmp_path: Path
) -> None:
    await topic.write([(b"c", b"%d" % n, (("ce_id", b"c:%d" % n),)) for n in range(1, 6)], 0)
    store = LocalStore(tmp_path)
    with pytest.raises(Trouble, match="cut off"):
        await export(topic, CutOff(store, str(tmp_path)))
    files = sorted(tmp_path.rglob("*.gz"))
    assert len(files) == 3
    files[1].write_bytes(files[1].read_bytes()[:-9])  # the disk had promised more than it kept
    assert await export(topic, Archive(store, str(tmp_path))) == 4
    whole = await topic.ledger("verify", str(tmp_path), "--topic")
    assert (whole["records"], whole["cases"], whole["differences"]) == (5, 1, [])

    await topic.write([(b"c", b"7", (("ce_id", b"c:7"),))], 0)
    assert await export(topic, Archive(store, str(tmp_path))) == 1
    holed = await topic.ledger("verify", str(tmp_path), code=1)
    assert holed["differences"] == ["c:7 follows 5: what is between them is missing"]


async def test_a_topic_that_has_lost_records_is_not_exported_further(
    topic: Topic, another: Topic, tmp_path: Path
) -> None:
    """Prometheus is told of the last export that was complete."""
    told = tmp_path / "ledger.prom"
    words = ("export", str(tmp_path), "--metrics-file", str(told))
    await topic.write(ODD, 3)
    before = time.time()
    await topic.ledger(*words)
    [exported_at] = EXPORTED.findall(told.read_text("utf-8"))
    assert before < float(exported_at) < told.stat().st_mtime
    refused = await another.ledger(*words, code=1)
    assert "is of another topic" in refused["complained"]
    assert EXPORTED.findall(told.read_text("utf-8")) == [exported_at]
    archive = Archive(LocalStore(tmp_path / "other", mkdir=True), "other")
    await archive.keep_manifest(Manifest(parts=[await archive.keep_part(3, 0, 4, [])]))
    with pytest.raises(Trouble, match=r"case.events/3 ends at 0, it was exported up to 4"):
        await export(another, archive)
    differing = await another.ledger("verify", str(tmp_path), "--topic", code=1)
    assert "case.events/3/0 is not on the topic" in differing["differences"]


@pytest.fixture
def own(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Services of their own: their topic is deleted."""
    with own_city(stack, tmp_path / "home") as running:
        yield running


def driver(own: Stack) -> City:
    return City(own.endpoints.model_dump(mode="json", by_alias=True))


@pytest.mark.slow
async def test_a_lost_ledger_comes_back_from_its_export(own: Stack, tmp_path: Path) -> None:
    """Readers rebuild from what was imported; the figures are as before, and life goes on."""
    place = tmp_path / "ledger"
    async with driver(own) as city:
        await city.import_network()
        cases = [await city.case_of(await city.report(f"told-{n}")) for n in range(4)]
        assert (await city.act(cases[0], "accept")).is_success
        assert not await books.quiet(own.endpoints)
        exported = await lastmetre(own, "ledger", "export", place)
        assert (await city.act(cases[1], "accept")).is_success  # dispatch alone has this one
        assert not await books.quiet(own.endpoints)
        figures = _counted(await city.indicators())
    for service in SERVICES:
        await asyncio.to_thread(own.stop_process, service)
    bootstrap, prefix = own.endpoints.bootstrap_servers, own.endpoints.topic_prefix
    await delete_topics(bootstrap, prefix, [CASE_EVENTS])
    await apply_topics(bootstrap, prefix, development=True)

    await lastmetre(own, "ledger", "import", place, "--dry-run")
    imported = await lastmetre(own, "ledger", "import", place)
    assert imported["records"] == exported["records"] > 8
    recovered = await lastmetre(own, "recover")
    assert (recovered["sent_events"], recovered["relay_released"]) == (1, True)

    for service in SERVICES:
        await asyncio.to_thread(own.start_process, service)
    for service in SERVICES:
        await asyncio.to_thread(own.wait_ready, service)
    async with driver(own) as city:
        assert not await books.quiet(own.endpoints)
        await lastmetre(own, "metrics", "rebuild")
        assert _counted(await city.indicators()) == figures
        assert (await city.act(cases[1], "arrive")).is_success
        await city.case_of(await city.report("afterwards"))
        assert not await books.quiet(own.endpoints)
    balance = await books.balance(own.endpoints, None)
    assert [line.document() for line in balance if not line.balanced] == []


def _counted(figures: dict[str, Any]) -> dict[str, Any]:
    """Without the moment that they are of."""
    return {name: each for name, each in figures.items() if name != "as_of"}
