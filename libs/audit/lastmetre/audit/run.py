"""An audit from beginning to end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import asyncpg

from lastmetre.audit.balance import Balance
from lastmetre.audit.cases import CaseLines
from lastmetre.audit.channels import check_channels
from lastmetre.audit.consistent_cut import Targets, open_cut
from lastmetre.audit.counted import CountedMessages
from lastmetre.audit.errors import AuditImpossible
from lastmetre.audit.messages import MessageLines
from lastmetre.audit.partition_view import partition_views
from lastmetre.audit.positions import check_positions
from lastmetre.audit.readers import ReaderLines
from lastmetre.audit.receipts import Receipt, check_receipts
from lastmetre.audit.reports import check_reports
from lastmetre.audit.requests import RequestLines
from lastmetre.audit.restored import check_restored
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


async def take_balance(
    targets: Targets,
    *,
    receipts: Sequence[Receipt] | None = None,
    links: SignedLinks | None = None,
    on_progress: ProgressCallback = lambda what, done: None,
) -> Balance:
    """Count every line from one cut; raises AuditImpossible."""
    balance = Balance()
    with reasons():
        await _count(targets, balance, receipts, links, on_progress)
    return balance


async def _count(
    targets: Targets,
    balance: Balance,
    receipts: Sequence[Receipt] | None,
    links: SignedLinks | None,
    on_progress: ProgressCallback,
) -> None:
    async with open_cut(targets) as cut:
        on_progress("channels", 0.0)
        await check_channels(cut, balance)
        check_positions(cut, balance)
        await check_restored(cut, balance)
        if receipts is not None and links is not None:
            await check_receipts(cut, balance, receipts, links)
        on_progress("reports", 0.1)
        await check_reports(cut, balance)
        cases = CaseLines(cut, balance)
        requests = RequestLines(cut, balance)
        messages = MessageLines(cut, balance)
        counted = CountedMessages(cut, balance)
        readers = ReaderLines(cut, balance)
        async for partition_view in partition_views(cut):
            on_progress("cases", 0.25 + 0.7 * partition_view.partition / PARTITIONS)
            for lines in (cases, readers, requests, messages, counted):
                await lines.check(partition_view)
        cases.finish()
        messages.finish()
        await requests.finish()
        await counted.finish()
        on_progress("done", 1.0)
