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
from typing import NamedTuple, TypeVar
from uuid import UUID

import structlog

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.deliveries import (
    DeliveryResult,
    MessageAttempted,
    MessageDelivered,
    SentAgain,
)
from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.notify.adapters.postgres import adoption, ratings, sending_again
from lastmetre.notify.adapters.postgres.adoption import AdoptedDelivery, Key, WaitingMessage
from lastmetre.notify.application.adopted_ends import end_again
from lastmetre.notify.domain.messages import INTERRUPTED, id_sent_again, message_id
from lastmetre.notify.domain.ratings import Closing, Rating
from lastmetre.notify.domain.sending_again import AskedAgain

log = structlog.get_logger()

OurMessage = TypeVar("OurMessage", bound=Message)


class Attempted(NamedTuple):
    """An attempt that the topic tells of, and its trace."""

    message: MessageAttempted
    traceparent: str


async def adopt_deliveries(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ends and attempts of messages; returns how many the database did not know."""
    # Of a message's several records (a relay may repeat) the first counts, as for every reader.
    ends: dict[UUID, AdoptedDelivery] = {}
    attempts: dict[UUID, Attempted] = {}
    for each, record in _messages(records, MessageAttempted, MessageDelivered):
        if isinstance(each, MessageDelivered):
            ends.setdefault(each.message_id, _end_of(each))
        elif isinstance(each, MessageAttempted):
            before = attempts.get(each.message_id)
            if before is None or each.attempt > before.message.attempt:
                attempts[each.message_id] = Attempted(each, record.traceparent or "")
    if not ends and not attempts:
        return 0
    events = {(each.case_id, each.seq) for each in ends.values()}
    events |= {(each.message.case_id, each.message.seq) for each in attempts.values()}
    columns = [case_id for case_id, _ in sorted(events)], [seq for _, seq in sorted(events)]
    # In the order of a message's life: one that ends meanwhile, by another process, is seen.
    waiting = await adoption.waiting(work.connection, *columns)
    ended = await adoption.ended(work.connection, *columns)
    # What was sent again can be kept where the message's first end is known, now at the latest.
    known = {_id_of(key): key for key in ended}
    known |= {each.message_id: each.key for each in waiting if each.message_id in ends}
    for identity in (
        *map(_id_of, ended),
        *await _ended_again(work, [*ends.values(), *map(_nobody_knows, attempts.values())]),
    ):
        ends.pop(identity, None)
        attempts.pop(identity, None)
    new = await _go_on(work, waiting, ends, attempts)
    unasked = [*ends.values()]
    unasked += [_nobody_knows(each) for i, each in attempts.items() if i not in ends]
    kept: list[AdoptedDelivery] = []
    for end in unasked:
        if end.first_id in known:
            attempt = attempts.get(end.message_id)
            trace = attempt.traceparent if attempt else ""
            await end_again(work, end, known[end.first_id], trace)
        else:
            kept.append(end)
    if kept:
        new += await adoption.keep(work.connection, kept)
    return new + len(unasked) - len(kept)


async def _ended_again(work: UnitOfWork, found: Sequence[AdoptedDelivery]) -> list[UUID]:
    """The ids of those that are sent again and whose end is known here."""
    asked = [each.asked.request_id for each in found if each.asked]
    requests = await sending_again.requests(work.connection, asked) if asked else {}
    return [
        id_sent_again(each.first_id, each.asked.request_id)
        for each in requests.values()
        if each.result
    ]


def _id_of(key: Key) -> UUID:
    case_id, recipient, seq = key
    return message_id(case_id, seq, recipient)


async def _go_on(
    work: UnitOfWork,
    waiting: Sequence[WaitingMessage],
    ends: dict[UUID, AdoptedDelivery],
    attempts: dict[UUID, Attempted],
) -> int:
    """Bring messages that wait to where they were, and take them out of `ends` and `attempts`."""
    to_finish: list[tuple[Key, AdoptedDelivery]] = []
    again: list[AdoptedDelivery] = []
    forgotten: list[tuple[WaitingMessage, str, int]] = []
    for message in waiting:
        attempt = attempts.pop(message.message_id, None)
        if end := ends.pop(message.message_id, None):
            if message.request_id:
                again.append(end)
            else:
                to_finish.append((message.key, end))
        elif attempt and attempt.message.attempt > message.attempts:
            told = attempt.message
            forgotten.append((message, told.provider, told.attempt))
    await adoption.finish_again(work.connection, again)
    new = len(again)
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
        True,
        *_of_request(told.again),
    )


def _nobody_knows(attempt: Attempted) -> AdoptedDelivery:
    message = attempt.message
    return AdoptedDelivery(
        message.message_id,
        message.case_id,
        message.seq,
        DeliveryResult.UNKNOWN.value,
        message.provider,
        INTERRUPTED,
        message.occurred_at,
        False,
        *_of_request(message.again),
    )


def _of_request(again: SentAgain | None) -> tuple[UUID | None, AskedAgain | None]:
    if again is None:
        return None, None
    return again.message_id, AskedAgain(again.request_id, again.actor, again.asked_at)


async def adopt_feedback(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ratings, and what was asked of cases after them; returns how many the database did
    not know."""
    given: list[Rating] = []
    reopenings: list[tuple[Closing, FeedbackGiven]] = []
    for each, _ in _messages(records, FeedbackGiven):
        closing = Closing(each.case_id, each.closing, each.report_id)
        if each.feedback_id == closing.reopening_id:
            reopenings.append((closing, each))
            continue
        rating = Rating(
            each.case_id,
            each.closing,
            each.feedback_id,
            each.solved,
            each.score,
            each.reopen,
            each.occurred_at,
            report_id=each.report_id,
        )
        given.append(rating)
    new = await ratings.insert_ratings(work.connection, given) if given else 0
    for closing, each in reopenings:
        new += await ratings.ask_reopening(work.connection, closing, each.occurred_at)
    return new


def _messages(
    records: Sequence[ConsumedRecord], *models: type[OurMessage]
) -> Iterator[tuple[OurMessage, ConsumedRecord]]:
    """What the records say. One that breaks its contract says nothing to anybody: its readers have
    it as a dead letter. Raises UnknownEventType if a newer build wrote."""
    for record in records:
        try:
            message = decode(record, {model.TYPE: model for model in models})
        except BadRecord as error:
            log.error("own record cannot be read", error=str(error), **record.log_context)
        else:
            assert isinstance(message, models)
            yield message, record
