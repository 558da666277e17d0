"""Notify alone, with a vault beside it."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from lastmetre.common.contracts.deliveries import MessageDelivered
from lastmetre.common.contracts.topics import FEEDBACK, NOTIFY_DELIVERIES
from tests.support.city.service import ServiceAlone
from tests.support.city.vault import VaultStandIn


@dataclass(frozen=True)
class Before:
    """What was there when a test began."""

    asked: int = 0
    results: Counter[str] = field(default_factory=Counter)
    messages: frozenset[UUID] = frozenset()
    files: frozenset[Path] = frozenset()


class NotifyAlone(ServiceAlone):
    """What a test does with notify. `outbox` is the folder that stands in for SMS.

    What it counts and lists is what came since the last `begin`.
    """

    service = "notify"
    sends_to = (NOTIFY_DELIVERIES, FEEDBACK)

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        super().__init__(bootstrap, database_url, folder)
        self.outbox = folder / "outbox"
        self.vault = VaultStandIn(self.credentials.services[self.service])
        self.environment |= {
            "NOTIFY_OUTBOX_DIRECTORY": str(self.outbox),
            "NOTIFY_SMTP_STARTTLS": "false",
            "NOTIFY_RETRY_FIRST_SECONDS": "0.2",
            "NOTIFY_RETRY_LONGEST_SECONDS": "1",
            "INTAKE_INTERNAL_URL": f"http://127.0.0.1:{self.vault.port}",
        }
        self._before = Before()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Topics and vault; at the end every process is stopped, and the topics go."""
        async with self.vault.listening(), super().running():
            yield self

    async def begin(self) -> None:
        """From now on only what is new is looked at: several tests may share a process."""
        self._before = Before()
        self._before = Before(
            await self.asked(),
            await self.results(),
            frozenset([each.message_id for each in await self.deliveries()]),
            frozenset(self.files()),
        )
        self.vault.questions = self.vault.refused = 0
        self.vault.asked.clear()

    async def deliveries(self) -> list[MessageDelivered]:
        """The ends of messages that are on notify.deliveries now."""
        records = await self.records(NOTIFY_DELIVERIES, MessageDelivered.TYPE)
        found = [MessageDelivered.from_json(each.value) for each in records]
        return [each for each in found if each.message_id not in self._before.messages]

    async def feedback(self) -> list[dict[str, Any]]:
        """Everything that is on feedback now."""
        return [each.body for each in await self.records(FEEDBACK)]

    async def asked(self) -> int:
        """How many messages were asked for."""
        total: int = await self.value("SELECT coalesce(sum(asked), 0) FROM subject")
        return total - self._before.asked

    async def until_done(self, messages: int) -> None:
        """Wait until so many messages are at their end, none waits and all is relayed."""
        ended = self._before.results.total() + messages
        await self.until("SELECT count(*) FROM message_done", ended)
        await self.until("SELECT count(*) FROM message_waiting", 0)
        await self.until("SELECT count(*) FROM outbox", 0)

    async def results(self) -> Counter[str]:
        """How many messages came to which end."""
        rows = await self.fetch("SELECT result, count(*) FROM message_done GROUP BY result")
        return Counter({row[0]: row[1] for row in rows}) - self._before.results

    def files(self) -> list[Path]:
        """The messages in the outbox folder."""
        return sorted(set(self.outbox.rglob("*.txt")) - self._before.files)
