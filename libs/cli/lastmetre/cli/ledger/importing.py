"""An archive back into an empty topic, each partition's records as they were and in their order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from lastmetre.cli.console import Bar, Trouble
from lastmetre.cli.ledger.archive import Archive, Manifest
from lastmetre.cli.ledger.records import KeptRecord
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import idempotent_producer
from lastmetre.common.kafka.topic_reader import Place, Topics

AGAIN = (
    f"stop dispatch; delete the topic {CASE_EVENTS} if nothing in it is needed;"
    " `lastmetre topics apply`; import again."
)


@dataclass(slots=True)
class Imported:
    """What an import has done, or would do. `offsets_kept`: each record stands where it stood."""

    records: int
    offsets_kept: bool
    dry_run: bool


async def manifest_of(archive: Archive) -> Manifest:
    """The manifest. Raises Trouble where there is none."""
    manifest = await archive.manifest()
    if manifest is None:
        raise Trouble(f"{archive.location} holds no exported ledger.", "is this the right place?")
    return manifest


async def check_archive(archive: Archive, manifest: Manifest, bar: Bar) -> bool:
    """Read every part; whether no offset is missing between records. Raises ArchiveDamaged."""
    bar.at(0, manifest.records)
    without_gaps = True
    async for part, records in archive.parts(manifest):
        for each in records:
            if each.key is None and each.value is None:
                raise Trouble(
                    f"{part.name}: offset {each.offset} has neither key nor body, which no"
                    " client of ours can send.",
                    "it is no event of dispatch's: who wrote it?",
                )
        without_gaps &= part.next_offset - part.first_offset == len(records)
        bar.advance(len(records))
    return without_gaps


async def check_empty(topics: Topics) -> list[Place]:
    """The partitions of the topic. Raises Trouble unless nothing was ever written there."""
    places = await topics.places([CASE_EVENTS])
    ends = await topics.ends(places)
    written = [f"{place[1]} (up to {end})" for place, end in ends.items() if end]
    if written:
        raise Trouble(
            f"The topic {CASE_EVENTS} is not empty: partition {', '.join(written)}.", AGAIN
        )
    return places


async def import_ledger(
    topics: Topics, access: KafkaAccess, topic: str, archive: Archive, bar: Bar, *, dry_run: bool
) -> Imported:
    """Write every record of the archive to `topic`, as the broker calls it.

    Everything is read and checked before the first record is sent. Raises Trouble.
    """
    places = await check_empty(topics)
    manifest = await manifest_of(archive)
    without_gaps = await check_archive(archive, manifest, bar)
    outcome = Imported(manifest.records, without_gaps, dry_run)
    if dry_run:
        return outcome
    bar.at(0, manifest.records)
    async with idempotent_producer(access, "lastmetre-ledger-import") as producer:
        async for part, records in archive.parts(manifest):
            await _send(producer, topic, part.partition, records)
            bar.advance(len(records))
    ends = await topics.ends(places)
    for place in places:
        wanted = sum(part.records for part in manifest.of(place[1]))
        if ends[place] != wanted:
            raise Trouble(
                f"{place[0]}/{place[1]} ends at {ends[place]} after {wanted} records: somebody else"
                " writes there.",
                AGAIN,
            )
    return outcome


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[KeptRecord]
) -> None:
    """All of them, in order; returns once the broker has them. Raises Trouble."""
    try:
        sent = [
            await producer.send(
                topic,
                value=each.value,
                key=each.key,
                partition=partition,
                headers=list(each.headers),
            )
            for each in records
        ]
        await asyncio.gather(*sent)
    except (KafkaError, OSError, TimeoutError) as error:
        raise Trouble(
            f"The import broke off in partition {partition}: {type(error).__name__}: {error}", AGAIN
        ) from error
