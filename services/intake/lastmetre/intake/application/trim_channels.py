"""Deletes what the channels' topics no longer need: they hold personal data.

A record goes once the stored position is past it, a verified backup has what became of it, and a
short time has gone by: a database that is restored reads all the others again. Without a backup
that `lastmetre backup` has confirmed nothing goes. Where others make the backups, or nobody does, a
time is stated (INTAKE_BACKUP_INTERVAL_SECONDS): then a record goes when it is older than that and
the short time together, for the database may have been behind when the backup was made. What became
of a record stays in our tables: the books still balance.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from lastmetre.common.kafka.topic_reader import TopicsUnreadable
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.intake.adapters.channel_topics import ChannelTopics
from lastmetre.intake.adapters.postgres import confirmed_backup
from lastmetre.intake.adapters.postgres import trimming as store
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.ingest_reports import CHANNELS_FLOW
from lastmetre.intake.settings import IntakeSettings

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

_LOCK: Final = 0x6C6D0002

Low = dict[tuple[str, int], int]


class TrimChannels:
    """Trims every now and then, one process of the service at a time."""

    def __init__(self, host: ServiceHost, settings: IntakeSettings, topics: ChannelTopics) -> None:
        self._host = host
        self._settings = settings
        self._topics = topics
        stated = settings.backup_interval is not None
        self._untrimmed = store.untrimmed if stated else store.untrimmed_in_backup

    async def run(self) -> None:
        """Trim until cancelled; what fails is tried again the next time."""
        metrics.CHANNELS_TRIMMED.set_to_current_time()
        metrics.BACKUP_AWAITED.set(self._settings.backup_interval is None)
        while True:
            await asyncio.sleep(self._settings.trim_every)
            try:
                await self()
            except (*DATABASE_ERRORS, KafkaError, TopicsUnreadable) as error:
                log.warning("trimming waits", error=type(error).__name__)

    async def __call__(self) -> Low:
        """Trim what may go now; returns how far each partition was trimmed."""
        async with connected(self._host.pool) as connection:
            confirmed = await confirmed_backup.begun_at(connection)
            metrics.BACKUP_CONFIRMED.set(confirmed.timestamp() if confirmed else 0)
            if not await store.lock(connection, _LOCK):
                return {}
            try:
                untrimmed = await self._untrimmed(connection, CHANNELS_FLOW)
                low = await self._old(untrimmed) if untrimmed.positions else {}
                low = await self._look_into_gaps(connection, low)
                if low:
                    await self._topics.delete_below(low)
                    await store.note(connection, low, datetime.now(UTC))
                    log.info("channels trimmed", partitions=len(low))
                metrics.CHANNELS_TRIMMED.set_to_current_time()
            finally:
                with suppress(asyncpg.InterfaceError, OSError):
                    await store.unlock(connection, _LOCK)
        return low

    def _cutoff(self, begun_at: datetime | None) -> datetime:
        """What was appended later stays. `begun_at` is when the confirmed backup was begun: where a
        topic has lost its end, other records stand at the offsets that the backup knows."""
        age = self._settings.trim_after + (self._settings.backup_interval or 0)
        cutoff = datetime.now(UTC) - timedelta(seconds=age)
        return min(cutoff, begun_at) if begun_at else cutoff

    async def _old(self, untrimmed: store.Untrimmed) -> Low:
        """How far each partition holds nothing that is young, and no further than its position."""
        positions, begun_at = untrimmed
        cutoff = self._cutoff(begun_at)
        low: Low = {}
        for place, each in (await self._topics.begins(list(positions), cutoff)).items():
            position = positions[place]
            upto = position if each.young is None else min(position, each.young)
            if upto > each.first:
                low[place] = upto
        return low

    async def _look_into_gaps(self, connection: "Connection", low: Low) -> Low:
        """Note which stretches that were passed over hold no record, and trim none that does.

        What was missed is deleted by nobody then, and the audit can still name it.
        """
        gaps = await store.unseen_gaps(connection, CHANNELS_FLOW, low) if low else []
        if not gaps:
            return low
        found = await self._topics.examined(list(low), gaps)
        for gap in found.passed_over:
            topic, partition, start, _ = gap
            log.error("a record was passed over: not trimmed", gap=gap)
            low[topic, partition] = min(low[topic, partition], start)
        await store.note_empty(connection, found.empty, datetime.now(UTC))
        return {place: upto for place, upto in low.items() if upto > found.first[place]}
