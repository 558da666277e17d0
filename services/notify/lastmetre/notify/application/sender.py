"""The sender: claims what is due, hands it to providers, lets the results be recorded.

Several processes share by shard of the case. Within one (case, recipient) there is never more than
one message on its way, and they go in the order of the events.
"""

import asyncio
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

import structlog

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES
from lastmetre.notify.adapters.postgres.sending import Attempted, Due, Key
from lastmetre.notify.adapters.vault import VaultAway
from lastmetre.notify.application.rendering import (
    MessageRenderer,
    ProviderRouting,
    RenderedMessage,
)
from lastmetre.notify.application.result_committer import (
    SILENT_SECONDS,
    Attempt,
    ResultCommitter,
    Results,
    words_of,
)
from lastmetre.notify.domain.messages import INTERRUPTED, shard_of
from lastmetre.notify.domain.provider import Outcome, Provider

log = structlog.get_logger()

BATCH: Final = 2000
"""Fewer turns, for each waits several times behind what else the process does."""
UNRECORDED_MOST: Final = 4000
"""So many results wait to be recorded, and nothing more is claimed."""
POLL_SECONDS: Final = 0.1
BALANCE_SECONDS: Final = 1.0
EXPIRE_SECONDS: Final = 5.0
EXPIRED_AT_ONCE: Final = 500
VAULT_BACKOFF_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
RECONNECT_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 7.0
"""Of the 9 that flows, sender and relay have together: what is recorded is still to be relayed."""
CLOSE_SECONDS: Final = 1.0

UNROUTED: Final = ""
NOBODY: Final = "none"
"""Claimed by no provider, to be given up: whoever finds it claimed so may claim it again."""


class SendingSession(Protocol):
    """The queue of messages, and the shards of it that this process owns."""

    @property
    def owned(self) -> Sequence[int]:
        """The shards whose messages this process sends."""

    async def balance(self, busy: Collection[int]) -> Sequence[int]:
        """Take or give up shards until the part is fair; returns those newly taken."""

    async def recover(
        self, taken: Sequence[int], repeatable: Sequence[str], ours: Collection[Attempted]
    ) -> tuple[int, list[tuple[str, Attempted]]]:
        """Requeue what was left `sending` by these providers; returns how many, and the others."""

    async def release_provider_queues(self, taken: Sequence[int], providers: Sequence[str]) -> None:
        """Decide anew about messages that wait for a provider which is not configured any more."""

    async def due(self, provider_queue: str, now: datetime, limit: int) -> list[Due]:
        """The longest due messages with nothing unfinished before them."""

    async def claim(self, provider: str, messages: Sequence[Due | Attempted]) -> set[Attempted]:
        """Commit that `provider` is about to be given these; returns those that still could be."""

    async def assign_provider_queue(self, keys: Sequence[Key], provider: str) -> None:
        """Let these wait for a provider that has no room now."""

    async def expired(self, asked_before: datetime, limit: int) -> list[Attempted]:
        """Messages that have waited too long and are not being sent this moment."""


OpenSession = Callable[[], AbstractAsyncContextManager[SendingSession]]


class Sender:
    """Sends the messages of the shards that this process owns.

    Whatever it claims ends in one result, which the committer records. Databases and vault are
    waited for; any other error leaves `run`, and whoever owns it ends the process. A result that
    nobody recorded before the process ended is the next owner's: sent again where the provider
    recognises a repetition, else `unknown`.
    """

    def __init__(
        self,
        open_session: OpenSession,
        results: Results,
        renderer: MessageRenderer,
        routing: ProviderRouting,
        real_clock: Clock,
        *,
        expire_after: timedelta,
        jitter: Callable[[], float],
    ) -> None:
        self._open_session = open_session
        self._renderer = renderer
        self._routing = routing
        self._real_clock = real_clock
        self._expire_after = expire_after
        self._committer = ResultCommitter(results, self._recorded, jitter)
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._on_the_way: set[Attempted] = set()
        self._with: Counter[str] = Counter()
        self._tasks = asyncio.TaskGroup()
        self._vault_failures = 0
        self._waits: dict[str, tuple[float, str]] = {}

    def wake(self) -> None:
        """Something may be due: look now rather than at the next poll."""
        self._wake.set()

    @property
    def waiting_for(self) -> str | None:
        """What is waited for at this moment; None if all goes on."""
        waits = [f"{what}: {why}" for what, (_, why) in self._waits.items()]
        return self._committer.waiting_for or next(iter(waits), None)

    def health(self) -> list[str]:
        """What has been waited for a while."""
        now = asyncio.get_running_loop().time()
        waits = [
            f"messages wait for the {what}: {why}"
            for what, (since, why) in self._waits.items()
            if now - since > SILENT_SECONDS
        ]
        return [f"sender: {each}" for each in self._committer.health() + waits]

    async def run(self) -> None:
        """Send until cancelled, then let the calls under way come to their end, and be recorded.

        Cancelled once more, or after DRAIN_SECONDS, it ends at once.
        """
        try:
            async with self._tasks as tasks:
                tasks.create_task(self._committer.run())
                sending = tasks.create_task(self._sessions())
                try:
                    await asyncio.wait({sending})
                except asyncio.CancelledError:
                    # Not in the middle of a claim: what it claimed would be nobody's.
                    self._stopping.set()
                    self._wake.set()
                    await asyncio.wait({sending}, timeout=DRAIN_SECONDS)
                    raise
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    for provider in self._routing.all:
                        await provider.close()

    async def _sessions(self) -> None:
        while not self._stopping.is_set():
            try:
                async with self._open_session() as session:
                    await self._turns(session)
                    # The shards stay ours for as long.
                    await self._drained()
            except DATABASE_ERRORS as error:
                metrics.MESSAGE_SHARDS.set(0)
                self._waits_for("database", words_of(error))
                await self._pause(RECONNECT_SECONDS)
        await self._drained()

    async def _drained(self) -> None:
        """Wait until nothing is on its way but what cannot be recorded."""
        while len(self._on_the_way) > len(self._committer.held):
            await self._woken()

    async def _woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        self._wake.clear()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _turns(self, session: SendingSession) -> None:
        loop = asyncio.get_running_loop()
        balance_at = expire_at = 0.0
        while not self._stopping.is_set():
            if loop.time() >= balance_at:
                await self._balance(session)
                balance_at = loop.time() + BALANCE_SECONDS
            if loop.time() >= expire_at:
                await self._expire(session)
                expire_at = loop.time() + EXPIRE_SECONDS
            self._wake.clear()
            try:
                more = await self._turn(session)
                self._goes_on("vault")
                self._vault_failures = 0
            except VaultAway as error:
                await self._wait_for_vault(error)
                continue
            if not more:
                await self._woken()

    async def _balance(self, session: SendingSession) -> None:
        # A result that cannot be recorded must not keep a shard from whoever is to have it.
        busy = {shard_of(each.case_id) for each in self._on_the_way - self._committer.held}
        if taken := await session.balance(busy):
            await self._recover(session, taken)
        metrics.MESSAGE_SHARDS.set(len(session.owned))
        self._goes_on("database")

    async def _recover(self, session: SendingSession, taken: Sequence[int]) -> None:
        """Deal with what a former owner left on its way."""
        providers = self._routing.all
        repeatable = [NOBODY, *(each.name for each in providers if each.repeatable)]
        again, unknown = await session.recover(taken, repeatable, self._on_the_way)
        await session.release_provider_queues(taken, [each.name for each in providers])
        self._through(
            [
                Attempt(message, provider, Outcome(DeliveryResult.UNKNOWN, INTERRUPTED))
                for provider, message in unknown
            ]
        )
        if again or unknown:
            log.warning("messages were on their way", again=again, unknown=len(unknown))

    async def _expire(self, session: SendingSession) -> None:
        """Give up what has waited too long."""
        asked_before = self._real_clock.now() - self._expire_after
        late = await session.expired(asked_before, min(EXPIRED_AT_ONCE, self._claimable))
        if late:
            log.warning("messages have expired", messages=len(late))
            await self._give_up(session, [(message, "expired") for message in late])

    async def _give_up(
        self, session: SendingSession, messages: Sequence[tuple[Due | Attempted, str]]
    ) -> None:
        """Let these end as failed, each for its reason; nobody was called."""
        if not messages:
            return
        claimed = await session.claim(NOBODY, [message for message, _ in messages])
        errors = {message.key: error for message, error in messages}
        failed = DeliveryResult.FAILED
        self._through([Attempt(each, None, Outcome(failed, errors[each.key])) for each in claimed])

    @property
    def _claimable(self) -> int:
        """How many may be claimed: what cannot be recorded must not go on going out."""
        return max(UNRECORDED_MOST - self._committer.unrecorded, 0)

    async def _turn(self, session: SendingSession) -> bool:
        """Claim and hand over what is due; True if there may be more of it."""
        messages, more = await self._due(session)
        if not messages:
            return False
        rendered, undeliverable = await self._renderer.render(messages)
        if self._stopping.is_set():
            return False
        await self._give_up(session, undeliverable)
        fitting, waiting = self._fit(rendered)
        for provider, found in _by_provider(waiting).items():
            keys = [each.message.key for each in found]
            await session.assign_provider_queue(keys, provider.name)
        for provider, found in _by_provider(fitting).items():
            claimed = await session.claim(provider.name, [each.message for each in found])
            self._hand_over(provider, [each for each in found if each.message.claimed in claimed])
        return more

    async def _due(self, session: SendingSession) -> tuple[list[Due], bool]:
        """What is due and fits: new messages, and those that waited for room with a provider.

        And whether one of these queues gave as much as was asked for.
        """
        now = self._real_clock.now()
        rooms = {UNROUTED: min(self._room(self._routing.phone), BATCH)}
        rooms |= {provider.name: self._room(provider) for provider in self._routing.all}
        found: list[Due] = []
        more = False
        for queue, wanted in rooms.items():
            if room := min(wanted, self._claimable - len(found)):
                due = await session.due(queue, now, room)
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

    def _hand_over(self, provider: Provider, claimed: Sequence[RenderedMessage]) -> None:
        rest = iter(claimed)
        while group := list(islice(rest, provider.batch_size)):
            self._on_the_way.update(each.message.claimed for each in group)
            self._with[provider.name] += len(group)
            self._tasks.create_task(self._call(provider, group))

    async def _call(self, provider: Provider, group: Sequence[RenderedMessage]) -> None:
        began, said = asyncio.get_running_loop().time(), "ended"
        try:
            contexts = (each.outbound.traceparent for each in group)
            with TRACES.batch(f"send by {provider.name}", "client", contexts):
                outcomes = await provider.send([each.outbound for each in group])
            if len(outcomes) != len(group):
                raise ValueError(f"{len(outcomes)} outcomes of {len(group)} messages")
        except Exception as error:
            # A fault of ours in a provider: the messages may be out or not. What the error says may
            # hold an address.
            at = traceback.extract_tb(error.__traceback__)[-1]
            what = {"error": type(error).__name__, "file": at.filename, "line": at.lineno}
            log.error("provider failed", provider=provider.name, **what)
            result = None if provider.repeatable else DeliveryResult.UNKNOWN
            outcomes = [Outcome(result, type(error).__name__)] * len(group)
            said = "failed"
        else:
            if any(each.result is None for each in outcomes):
                said = "put_off"
        took = asyncio.get_running_loop().time() - began
        example = TRACES.exemplar(group[0].outbound.traceparent)
        metrics.PROVIDER_CALLS.labels(provider.name, said).observe(took, example)
        self._with[provider.name] -= len(group)
        self._through(
            [
                Attempt(each.message.claimed, provider.name, outcome)
                for each, outcome in zip(group, outcomes, strict=True)
            ]
        )

    def _through(self, attempts: Sequence[Attempt]) -> None:
        if attempts:
            self._on_the_way.update(each.message for each in attempts)
            self._committer.put(attempts)

    def _recorded(self, attempts: Sequence[Attempt]) -> None:
        self._on_the_way.difference_update(each.message for each in attempts)
        self._wake.set()

    async def _wait_for_vault(self, error: VaultAway) -> None:
        """Nothing was claimed, so nothing is lost but time."""
        self._waits_for("vault", str(error))
        last = len(VAULT_BACKOFF_SECONDS) - 1
        pause = VAULT_BACKOFF_SECONDS[min(self._vault_failures, last)]
        self._vault_failures += 1
        await self._pause(pause)

    def _waits_for(self, what: str, why: str) -> None:
        since, said = self._waits.get(what, (asyncio.get_running_loop().time(), None))
        if why != said:
            log.warning("messages wait", waiting_for=what, error=why)
        self._waits[what] = since, why

    def _goes_on(self, what: str) -> None:
        self._waits.pop(what, None)


def _by_provider(
    rendered: Sequence[RenderedMessage],
) -> dict[Provider, list[RenderedMessage]]:
    messages: dict[Provider, list[RenderedMessage]] = defaultdict(list)
    for each in rendered:
        messages[each.provider].append(each)
    return messages
