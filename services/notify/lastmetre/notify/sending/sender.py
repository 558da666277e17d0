"""The sender: claims what is due, hands it to providers, lets the results be committed.

Several processes share by shard of the case. Within one (case, recipient) there is never more than
one message on its way, and they go in the order of the events.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.outbox.shard_locks import ShardLeases
from lastmetre.common.postgres.database import queue_settings
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.notify.domain.messages import SHARDS
from lastmetre.notify.sending.provider import OutboundMessage, Outcome, Provider
from lastmetre.notify.sending.rendering import (
    MessageRenderer,
    ProviderRouting,
    RenderedMessage,
    Undeliverable,
)
from lastmetre.notify.sending.result_committer import Attempt, Backoff, ResultCommitter, cancelled
from lastmetre.notify.sending.vault import VaultAway
from lastmetre.notify.store import sending
from lastmetre.notify.store.sending import Attempted, Due, End

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

log = structlog.get_logger()

SENDING_LOCKS: Final = 2
BATCH: Final = 500
POLL_SECONDS: Final = 0.1
BALANCE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 5.0
EXPIRED_AT_ONCE: Final = 1000
VAULT_BACKOFF_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
RECONNECT_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 8.0

UNROUTED: Final = ""


class Sender:
    """Sends the messages of the shards that this process owns."""

    def __init__(
        self,
        host: ServiceHost,
        renderer: MessageRenderer,
        routing: ProviderRouting,
        real_clock: Clock,
        *,
        backoff: Backoff,
        expire_after: timedelta,
    ) -> None:
        self._host = host
        self._renderer = renderer
        self._routing = routing
        self._real_clock = real_clock
        self._expire_after = expire_after
        self._committer = ResultCommitter(host, real_clock, backoff, self._recorded)
        self._wake = asyncio.Event()
        self._on_the_way: dict[sending.Key, Due] = {}
        self._with: Counter[str] = Counter()
        self._calls: set[asyncio.Task[None]] = set()
        self._vault_failures = 0

    def wake(self) -> None:
        """Something may be due: look now rather than at the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, then let the calls under way come to their end."""
        committing = asyncio.create_task(self._committer.run())
        try:
            while True:
                try:
                    await self._session()
                except DATABASE_ERRORS as error:
                    metrics.MESSAGE_SHARDS.set(0)
                    log.warning("sender begins anew", error=f"{type(error).__name__}: {error}")
                    await self._arrived()
                    await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived(), DRAIN_SECONDS)
            await cancelled(committing)
            for provider in self._routing.all:
                await provider.close()

    async def _arrived(self) -> None:
        """Wait until nothing is on its way: its shards may be somebody else's after this."""
        while self._on_the_way:
            self._wake.clear()
            await self._wake.wait()

    async def _session(self) -> None:
        """Send as long as the connection lives that holds the shards' locks."""
        connection = await asyncpg.connect(
            self._host.settings.database_url.get_secret_value(),
            timeout=10,
            command_timeout=30,
            server_settings=queue_settings("notify-sender"),
        )
        try:
            locks = ShardLeases(connection, SENDING_LOCKS, range(SHARDS))
            await locks.join()
            await self._turns(connection, locks)
        finally:
            with suppress(*DATABASE_ERRORS):
                await connection.close(timeout=2)

    async def _turns(self, connection: "Connection", locks: ShardLeases) -> None:
        loop = asyncio.get_running_loop()
        balance_at = look_at = 0.0
        while True:
            if loop.time() >= balance_at:
                busy = {message.shard for message in self._on_the_way.values()}
                if taken := await locks.balance(busy):
                    await self._recover(connection, taken)
                metrics.MESSAGE_SHARDS.set(len(locks.owned))
                balance_at = loop.time() + BALANCE_SECONDS
            if loop.time() >= look_at:
                await self._expire_and_measure(connection, locks.owned)
                look_at = loop.time() + LOOK_SECONDS
            self._wake.clear()
            try:
                more = await self._turn(connection, locks.owned)
                self._vault_failures = 0
            except VaultAway as error:
                await self._wait_for_vault(error)
                continue
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _wait_for_vault(self, error: VaultAway) -> None:
        """Nothing was claimed, so nothing is lost but time."""
        if self._vault_failures == 0:
            log.warning("messages wait for the vault", error=str(error))
        last = len(VAULT_BACKOFF_SECONDS) - 1
        pause = VAULT_BACKOFF_SECONDS[min(self._vault_failures, last)]
        self._vault_failures += 1
        await asyncio.sleep(pause)

    async def _recover(self, connection: "Connection", taken: Sequence[int]) -> None:
        """Deal with what a former owner left on its way."""
        repeatable = [each.name for each in self._routing.all if each.repeatable]
        again = await sending.requeue(connection, taken, repeatable)
        await sending.release_provider_queues(
            connection, taken, [each.name for each in self._routing.all]
        )
        unknown = await sending.orphaned(connection, taken)
        ends: dict[End, list[Attempted]] = defaultdict(list)
        for provider, message in unknown:
            ends[End(DeliveryResult.UNKNOWN, provider, "interrupted")].append(message)
        await self._end(connection, ends)
        if again or unknown:
            log.warning("messages were on their way", again=again, unknown=len(unknown))

    async def _expire_and_measure(self, connection: "Connection", owned: Sequence[int]) -> None:
        """Give up what has waited too long, and count the rest."""
        asked_before = self._real_clock.now() - self._expire_after
        late = await sending.expired(connection, owned, asked_before, EXPIRED_AT_ONCE)
        if late:
            log.warning("messages have expired", messages=len(late))
            await self._end(connection, {End(DeliveryResult.FAILED, error="expired"): late})
        metrics.MESSAGES_WAITING.set(await sending.count_waiting(connection, owned))

    async def _end(self, connection: "Connection", ends: Mapping[End, Sequence[Attempted]]) -> None:
        if ends:
            async with connection.transaction():
                counted = await self._committer.end(connection, ends)
            self._committer.committed(counted)

    async def _turn(self, connection: "Connection", owned: Sequence[int]) -> bool:
        """Claim and hand over what is due; True if there may be more of it."""
        messages, more = await self._due(connection, owned)
        if not messages:
            return False
        rendered, undeliverable = await self._renderer.render(messages)
        await self._end(connection, _failed(undeliverable))
        fitting, waiting = self._fit(rendered)
        for queue, messages in _by_provider(waiting).items():
            await sending.assign_provider_queue(connection, [each.key for each in messages], queue)
        for provider, messages in _by_provider(fitting).items():
            claimed = await sending.claim(connection, provider, messages)
            self._hand_over([each for each in fitting if each.message.key in claimed])
        return more

    async def _due(self, connection: "Connection", owned: Sequence[int]) -> tuple[list[Due], bool]:
        """What is due and fits: new messages, and those that waited for room with a provider.

        And whether one of these queues gave as much as was asked for.
        """
        now = self._real_clock.now()
        rooms = {UNROUTED: min(self._room(self._routing.phone), BATCH)}
        rooms |= {provider.name: self._room(provider) for provider in self._routing.all}
        found: list[Due] = []
        more = False
        for queue, room in rooms.items():
            if room:
                due = await sending.due(connection, owned, queue, now, room)
                found += due
                more = more or len(due) == room
        return found, more

    def _room(self, provider: Provider) -> int:
        return max(provider.max_in_flight - self._with[provider.name], 0)

    def _fit(
        self, rendered: Sequence[RenderedMessage]
    ) -> tuple[list[RenderedMessage], list[RenderedMessage]]:
        """Those that their provider has room for, and others that are not in its queue yet."""
        room = {provider.name: self._room(provider) for provider in self._routing.all}
        fitting: list[RenderedMessage] = []
        waiting: list[RenderedMessage] = []
        for each in sorted(rendered, key=lambda each: not each.message.provider_queue):
            if room[each.provider.name]:
                room[each.provider.name] -= 1
                fitting.append(each)
            elif each.message.provider_queue != each.provider.name:
                waiting.append(each)
        return fitting, waiting

    def _hand_over(self, claimed: Sequence[RenderedMessage]) -> None:
        """Call their provider, which is the same for all of them."""
        rest = iter(claimed)
        provider = claimed[0].provider if claimed else self._routing.phone
        while group := list(islice(rest, provider.batch_size)):
            self._on_the_way.update((each.message.key, each.message) for each in group)
            self._with[provider.name] += len(group)
            call = asyncio.create_task(self._call(provider, group))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, provider: Provider, group: Sequence[RenderedMessage]) -> None:
        outbound: list[OutboundMessage] = [each.outbound for each in group]
        try:
            outcomes = await provider.send(outbound)
        except Exception as error:
            # A fault of ours in a provider: the messages may be out or not.
            log.exception("provider failed", provider=provider.name)
            result = None if provider.repeatable else DeliveryResult.UNKNOWN
            outcomes = [Outcome(result, type(error).__name__)]
            outcomes *= len(outbound)
        self._with[provider.name] -= len(group)
        self._committer.put(
            [
                Attempt(each.message, provider.name, outcome)
                for each, outcome in zip(group, outcomes, strict=True)
            ]
        )

    def _recorded(self, messages: Sequence[Due]) -> None:
        for message in messages:
            self._on_the_way.pop(message.key, None)
        self._wake.set()


def _failed(undeliverable: Sequence[Undeliverable]) -> dict[End, list[Attempted]]:
    ends: dict[End, list[Attempted]] = defaultdict(list)
    for message, error in undeliverable:
        end = End(DeliveryResult.FAILED, error=error)
        ends[end].append(Attempted(*message.key, message.attempts))
    return ends


def _by_provider(rendered: Sequence[RenderedMessage]) -> dict[str, list[Due]]:
    messages: dict[str, list[Due]] = defaultdict(list)
    for each in rendered:
        messages[each.provider.name].append(each.message)
    return messages
