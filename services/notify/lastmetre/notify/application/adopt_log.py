"""Taking in what our own topics tell and the database has forgotten: it was restored, or a standby
was promoted that lacked the last seconds.

`notify.deliveries` says which messages have come to their end. Those that the database still holds
as waiting or `sending` end so; of those that it has not been asked for yet, since the case's events
come again only after this, the end is kept, and a message that is asked for later has it at once.
So nothing is sent again that the topic knows of.

It says, too, which messages were about to go out by a provider that does not recognise a
repetition: Kafka has acknowledged that before they go. An attempt whose end the topic does not
tell, and which the database has forgotten, may have come off or not. Its message is treated as
after any crash: `unknown`, and not sent again. What the database remembers has gone on from there.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar
from uuid import UUID

import structlog

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.deliveries import (
    DeliveryResult,
    MessageAttempted,
    MessageDelivered,
)
from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.notify.adapters.postgres import adoption, ratings
from lastmetre.notify.adapters.postgres.adoption import AdoptedDelivery, Key, WaitingMessage
from lastmetre.notify.domain.messages import INTERRUPTED, message_id
from lastmetre.notify.domain.ratings import Closing, Rating

log = structlog.get_logger()

OurMessage = TypeVar("OurMessage", bound=Message)


async def adopt_deliveries(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ends and attempts of messages; returns how many the database did not know."""
    # Of a message's several records (a relay may repeat) the first counts, as for every reader.
    ends: dict[UUID, AdoptedDelivery] = {}
    attempts: dict[UUID, MessageAttempted] = {}
    for each in _messages(records, MessageAttempted, MessageDelivered):
        if isinstance(each, MessageDelivered):
            ends.setdefault(each.message_id, _end_of(each))
        elif isinstance(each, MessageAttempted):
            before = attempts.get(each.message_id)
            if before is None or each.attempt > before.attempt:
                attempts[each.message_id] = each
    if not ends and not attempts:
        return 0
    events = {(each.case_id, each.seq) for each in ends.values()}
    events |= {(each.case_id, each.seq) for each in attempts.values()}
    columns = [case_id for case_id, _ in sorted(events)], [seq for _, seq in sorted(events)]
    # In the order of a message's life: one that ends meanwhile, by another process, is seen.
    waiting = await adoption.waiting(work.connection, *columns)
    for case_id, recipient, seq in await adoption.ended(work.connection, *columns):
        identity = message_id(case_id, seq, recipient)
        ends.pop(identity, None)
        attempts.pop(identity, None)
    new = await _go_on(work, waiting, ends, attempts)
    unasked = [*ends.values()]
    unasked += [_nobody_knows(each) for i, each in attempts.items() if i not in ends]
    if unasked:
        new += await adoption.keep(work.connection, unasked)
    return new


async def _go_on(
    work: UnitOfWork,
    waiting: Sequence[WaitingMessage],
    ends: dict[UUID, AdoptedDelivery],
    attempts: dict[UUID, MessageAttempted],
) -> int:
    """Bring messages that wait to where they were, and take them out of `ends` and `attempts`."""
    to_finish: list[tuple[Key, AdoptedDelivery]] = []
    forgotten: list[tuple[WaitingMessage, str, int]] = []
    for message in waiting:
        identity = message_id(message.case_id, message.seq, message.recipient)
        attempt = attempts.pop(identity, None)
        if end := ends.pop(identity, None):
            to_finish.append((message.key, end))
        elif attempt and attempt.attempt > message.attempts:
            forgotten.append((message, attempt.provider, attempt.attempt))
    new = 0
    if to_finish:
        new += await adoption.finish_waiting(work.connection, to_finish)
    if forgotten:
        new += await adoption.claim_again(work.connection, forgotten)
    return new


def _end_of(told: MessageDelivered) -> AdoptedDelivery:
    return AdoptedDelivery(
        told.message_id,
        told.case_id,
        told.seq,
        told.result.value,
        told.provider,
        told.error,
        told.occurred_at,
    )


def _nobody_knows(attempt: MessageAttempted) -> AdoptedDelivery:
    return AdoptedDelivery(
        attempt.message_id,
        attempt.case_id,
        attempt.seq,
        DeliveryResult.UNKNOWN.value,
        attempt.provider,
        INTERRUPTED,
        attempt.occurred_at,
        told=False,
    )


async def adopt_feedback(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ratings, and what was asked of cases after them; returns how many the database did
    not know."""
    given: list[Rating] = []
    reopenings: list[FeedbackGiven] = []
    for each in _messages(records, FeedbackGiven):
        if each.feedback_id == Closing(each.case_id, each.closing).reopening_id:
            reopenings.append(each)
            continue
        rating = Rating(
            each.case_id,
            each.closing,
            each.feedback_id,
            each.solved,
            each.score,
            each.reopen,
            each.occurred_at,
        )
        given.append(rating)
    new = await ratings.insert_ratings(work.connection, given) if given else 0
    for each in reopenings:
        new += await ratings.ask_reopening(
            work.connection, each.case_id, each.closing, each.feedback_id, each.occurred_at
        )
    return new


def _messages(records: Sequence[ConsumedRecord], *models: type[OurMessage]) -> Iterator[OurMessage]:
    """What the records say. One that breaks its contract says nothing to anybody: its readers have
    it as a dead letter. Raises UnknownEventType if a newer build wrote."""
    for record in records:
        try:
            message = decode(record, {model.TYPE: model for model in models})
        except BadRecord as error:
            log.error("own record cannot be read", error=str(error), **record.log_context)
        else:
            assert isinstance(message, models)
            yield message
