"""A sender with everything around it in memory: what it is told to send, and what goes out."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.vault import Contact, Contacts
from lastmetre.notify.adapters.postgres.sending import Key
from lastmetre.notify.adapters.vault import Vault, VaultAway
from lastmetre.notify.application.rendering import MessageRenderer, ProviderRouting
from lastmetre.notify.application.sender import Sender
from lastmetre.notify.domain.messages import REPORTER, Kind
from lastmetre.notify.domain.provider import SENT, OutboundMessage, Outcome
from tests.unit.notify.memory_queue import LoopClock, MemoryQueue
from tests.unit.notify.test_texts import TEXTS, due

BY_MAIL, NO_ADDRESS = 10_000, 20_000
"""Report ids from these on stand for reporters of that kind; the others have a phone."""


class FakeVault(Vault):
    """Knows everybody; away on demand."""

    def __init__(self) -> None:
        self.away = False

    async def contacts(self, report_ids: Iterable[UUID], lead_ids: Iterable[str]) -> Contacts:
        await asyncio.sleep(0.001)
        if self.away:
            raise VaultAway("HTTP 503")
        return Contacts(reports={each: _contact(each.int) for each in report_ids})

    async def close(self) -> None:
        """Nothing to let go of."""


def _contact(number: int) -> Contact:
    if number >= NO_ADDRESS:
        return Contact()
    return Contact(email="a@b.invalid") if number >= BY_MAIL else Contact(phone="1")


class FakeProvider:
    """Keeps what goes out by it, in order. `trouble` may make a call fail before or after that."""

    name: ClassVar[str] = "phone"
    repeatable: ClassVar[bool] = True
    max_in_flight: ClassVar[int] = 40
    batch_size: ClassVar[int] = 10

    def __init__(self, world: "World") -> None:
        self._world = world
        self.out: list[Key] = []
        self.closed = 0

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        randomness = self._world.random
        await asyncio.sleep(randomness.random() * self._world.call_seconds)
        outcomes = []
        for message in messages:
            if randomness.random() < self._world.puts_off:
                outcomes.append(Outcome(None, "busy"))
                continue
            self.out.append((message.case_id, message.recipient, message.seq))
            outcomes.append(SENT)
        if randomness.random() < self._world.provider_bug:
            raise ZeroDivisionError
        await asyncio.sleep(randomness.random() * self._world.call_seconds)
        return outcomes

    async def close(self) -> None:
        self.closed += 1


class FakeMail(FakeProvider):
    """Does not recognise a repetition."""

    name: ClassVar[str] = "mail"
    repeatable: ClassVar[bool] = False
    max_in_flight: ClassVar[int] = 8
    batch_size: ClassVar[int] = 1


def everybody(each: int) -> list[int]:
    """Some cases of each kind."""
    return [base + n for base in (0, BY_MAIL, NO_ADDRESS) for n in range(each)]


class World:
    """The queue, the providers and the vault; senders come and go."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.queue = MemoryQueue()
        self.vault = FakeVault()
        self.phone, self.mail = FakeProvider(self), FakeMail(self)
        self.call_seconds = 0.1
        self.puts_off = 0.0
        self.provider_bug = 0.0
        self.expire_after = timedelta(days=1)

    def sender(self) -> Sender:
        routing = ProviderRouting(self.phone, self.mail)
        return Sender(
            self.queue.session,
            self.queue,
            MessageRenderer(self.vault, routing, TEXTS, ZoneInfo("Asia/Shanghai")),
            routing,
            LoopClock(),
            expire_after=self.expire_after,
            jitter=self.random.random,
        )

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        """A sender that is told to stop at the end, and given its time."""
        sender = self.sender()
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def ask(self, numbers: Iterable[int], seqs: Sequence[int] = (2,)) -> None:
        """Messages to the reporters of these cases."""
        for number in numbers:
            for seq in seqs:
                self.queue.ask(
                    due(Kind.RECEIVED)._replace(
                        case_id=UUID(int=number), report_id=UUID(int=number), seq=seq, attempts=0,
                        recipient=REPORTER, shard=UUID(int=number).int % 12, provider_queue="",
                    )
                )  # fmt: skip

    async def done(self, seconds: float = 300) -> None:
        """Wait until nothing is in the queue any more."""
        for _ in range(int(seconds / 0.05)):
            if not self.queue.waiting:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{len(self.queue.waiting)} messages still wait")

    def twice(self) -> set[Key]:
        """What went out more than once by the provider that does not recognise it."""
        return {key for key, times in Counter(self.mail.out).items() if times > 1}
