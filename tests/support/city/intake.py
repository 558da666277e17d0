"""Intake alone, and what its books say."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import PARTITIONS, REPORTS, channel_topic
from lastmetre.common.security.caller_keys import key_digest
from tests.support.city.credentials import key_text
from tests.support.city.records import Headers
from tests.support.city.service import ServiceAlone
from tests.support.city.waiting import eventually
from tests.support.raw_batch import send_raw_batch

# Each record of the channels below the position is in exactly one of these, by its place.
BOOKS: Final = """
    SELECT topic, partition, "offset", appended_at, outcome FROM report
    UNION ALL SELECT topic, partition, "offset", appended_at, outcome FROM later_record
    UNION ALL SELECT topic, partition, "offset", appended_at, 'dead' FROM dead_letter
        WHERE flow = 'channels' AND replayed_at IS NULL
"""


class IntakeAlone(ServiceAlone):
    """What a test does with intake."""

    service = "intake"
    sends_to = (REPORTS,)

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        super().__init__(bootstrap, database_url, folder)
        keys_file = folder / "channel-keys.json"
        keys_file.write_text(
            json.dumps(
                [
                    {
                        "channel": channel,
                        "sender": f"{channel}-desk",
                        "sha256": key_digest(key),
                        "history": True,
                    }
                    for channel, key in self.credentials.channels.items()
                ]
            )
        )
        categories = folder / "categories.csv"
        categories.write_text("code,name_zh,name_en\n06010,暴露垃圾,Exposed rubbish\n")
        self.environment |= {
            "INTAKE_VAULT_KEY": key_text(),
            "INTAKE_ACCESS_KEY": self.credentials.access_key,
            "INTAKE_CHANNEL_KEYS_FILE": str(keys_file),
            "LASTMETRE_CATEGORIES_FILE": str(categories),
            "INTAKE_PHOTOS": str(folder / "photos"),
        }

    async def put_raw_batch(
        self, topic: str, records: Sequence[tuple[bytes, Headers]], replaced: tuple[bytes, bytes]
    ) -> None:
        """Records in one batch, some bytes of it replaced by as many others before it is sent."""
        await send_raw_batch(self.producer, self.prefix + topic, 0, records, replaced)

    async def earliest(self) -> dict[tuple[str, int], int]:
        """The first offset that each partition of the channels still has."""
        return await self._edges("beginning_offsets")

    async def _edges(self, which: str) -> dict[tuple[str, int], int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            places = [
                TopicPartition(self.prefix + channel_topic(channel), partition)
                for channel in Channel
                for partition in range(PARTITIONS)
            ]
            found = await getattr(consumer, which)(places)
        finally:
            await consumer.stop()
        return {(tp.topic.removeprefix(self.prefix), tp.partition): at for tp, at in found.items()}

    async def until_read(self) -> Counter[str]:
        """Wait until intake has read all of the channels; the outcomes, each record once."""
        ends = {place: end for place, end in (await self._edges("end_offsets")).items() if end}

        async def nothing_unread() -> bool:
            rows = await self.fetch("SELECT * FROM position WHERE flow = 'channels'")
            stored = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            return all(stored.get(place, 0) >= end for place, end in ends.items())

        await eventually(nothing_unread)
        rows = await self.fetch(BOOKS)
        places = Counter((row[0], row[1], row[2]) for row in rows)
        assert set(places) == {
            (topic, partition, offset)
            for (topic, partition), end in ends.items()
            for offset in range(end)
        }
        assert set(places.values()) == {1}
        return Counter(row["outcome"] for row in rows)
