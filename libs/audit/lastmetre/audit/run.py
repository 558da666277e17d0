"""An audit from beginning to end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from lastmetre.audit.balance import TITLES, Balance
from lastmetre.audit.cases import CaseLines
from lastmetre.audit.channels import check_channels
from lastmetre.audit.checkpoint import Checkpoint, CheckpointUnusable
from lastmetre.audit.consistent_cut import ConsistentCut, Targets, open_cut
from lastmetre.audit.counted import CountedMessages
from lastmetre.audit.errors import AuditImpossible
from lastmetre.audit.merges import check_merges
from lastmetre.audit.messages import MessageLines
from lastmetre.audit.next_checkpoint import NoCheckpoint, RelayedEvents, make_checkpoint
from lastmetre.audit.partition_view import partition_views
from lastmetre.audit.positions import check_positions
from lastmetre.audit.readers import ReaderLines
from lastmetre.audit.receipts import Receipt, check_receipts
from lastmetre.audit.reports import check_reports
from lastmetre.audit.requests import RequestLines
from lastmetre.audit.restored import check_restored
from lastmetre.audit.since_checkpoint import since_checkpoint
from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.topic_reader import TopicsUnreadable
from lastmetre.common.security.signed_links import SignedLinks

ProgressCallback = Callable[[str, float], None]
"""Told what is being counted, and how much of the whole is done, 0 to 1."""


@contextmanager
def reasons() -> Iterator[None]:
    """Turn what a broker or a database can raise into AuditImpossible."""
    try:
        yield
    except TopicsUnreadable as error:
        raise AuditImpossible(error.problem, error.way_out) from error
    except asyncpg.UndefinedTableError as error:
        raise AuditImpossible(
            f"a service's tables are not there yet: {error}", "has every service been started?"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise AuditImpossible(
            f"something went away meanwhile: {type(error).__name__}: {error}", "try again."
        ) from error


@dataclass(frozen=True)
class Audited:
    """An audit that came to its end."""

    balance: Balance
    since: Checkpoint | None
    """What it has gone on from; None if everything was counted."""
    everything_because: str | None
    """Why it could not go on from the checkpoint that it was given."""
    next: Checkpoint | None
    """What the next one can go on from; None unless the books balance."""
    none_because: str | None
    """Why there is none though they do."""


async def take_balance(
    targets: Targets,
    *,
    checkpoint: Checkpoint | None = None,
    receipts: Sequence[Receipt] | None = None,
    links: SignedLinks | None = None,
    on_progress: ProgressCallback = lambda what, done: None,
) -> Audited:
    """Count every line from one cut; raises AuditImpossible.

    With `checkpoint` only what came since, or was touched; everything where it cannot be used.
    """
    balance = Balance()
    everything_because = none_because = following = None
    with reasons():
        async with open_cut(targets) as cut:
            if checkpoint is not None:
                try:
                    cut.go_on_from(await since_checkpoint(cut, checkpoint))
                except CheckpointUnusable as error:
                    cut.count_everything()
                    everything_because = str(error)
            relayed = await _count(cut, balance, receipts, links, on_progress)
            if balance.balanced:
                try:
                    following = await make_checkpoint(cut, relayed)
                except NoCheckpoint as error:
                    none_because = str(error)
            since = cut.since.checkpoint if cut.since else None
    return Audited(balance, since, everything_because, following, none_because)


async def _count(
    cut: ConsistentCut,
    balance: Balance,
    receipts: Sequence[Receipt] | None,
    links: SignedLinks | None,
    on_progress: ProgressCallback,
) -> RelayedEvents:
    for name in TITLES:  # also those of which nothing is new
        if name != "receipts":
            balance.line(name)
    on_progress("channels", 0.0)
    await check_channels(cut, balance)
    check_positions(cut, balance)
    await check_restored(cut, balance)
    if receipts is not None and links is not None:
        await check_receipts(cut, balance, receipts, links)
    on_progress("reports", 0.1)
    await check_reports(cut, balance)
    await check_merges(cut, balance)
    cases = CaseLines(cut, balance)
    requests = RequestLines(cut, balance)
    messages = MessageLines(cut, balance)
    counted = CountedMessages(cut, balance)
    readers = ReaderLines(cut, balance)
    relayed = RelayedEvents(cut)
    async for partition_view in partition_views(cut):
        on_progress("cases", 0.25 + 0.7 * partition_view.partition / PARTITIONS)
        if not partition_view.is_empty:
            for lines in (cases, readers, requests, messages, counted):
                await lines.check(partition_view)
        relayed.look(partition_view)
    cut.unrelayed.check(balance)
    cases.finish()
    messages.finish()
    await requests.finish()
    await counted.finish()
    on_progress("done", 1.0)
    return relayed
