"""Taking in what our own topics tell and the database has forgotten: it was restored, or a standby
was promoted that lacked the last seconds.

`notify.deliveries` says which messages have come to their end. Those that the database still holds
as waiting or `sending` end so; of those that it has not been asked for yet, since the case's events
come again only after this, the end is kept, and a message that is asked for later has it at once.
So nothing is sent again that the topic knows of.

**What may go out twice.** Only a message whose delivery record Kafka had not acknowledged when the
database went back:

- Its claim was not lost: the database has it as `sending`. It is treated as after any crash: sent
  again where the provider recognises a repetition, else recorded `unknown`. Nobody gets it twice.
- Its claim was lost too: the database has it as due, or is asked for it again, and nothing in it or
  in the log tells it from one that was never sent. This one is sent again, by SMTP to a reader who
  has it already. Between the commit of its claim and Kafka's acknowledgement of its delivery record
  lie one call of the provider and one turn of the relay, a tenth of a second when all is well. So
  it is at most what a provider has in hand at that moment (`max_in_flight`, 8 for SMTP), and what
  is recorded and not relayed yet: that grows while Kafka is away. A synchronous standby closes this
  window, for then no commit is lost.

To record every due message as `unknown` instead would close it as well, and would leave everybody
unheard whose message had only waited.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import structlog

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.deliveries import MessageDelivered
from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, decode
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.notify.domain.messages import message_id
from lastmetre.notify.store import adoption
from lastmetre.notify.store.adoption import AdoptedDelivery, Key
from lastmetre.notify.store.pages import Rating

log = structlog.get_logger()

OurMessage = TypeVar("OurMessage", bound=Message)


async def adopt_deliveries(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ends of messages; returns how many the database did not know. See above."""
    # Of a message's several records (a relay may repeat) the first counts, as for every reader.
    told: dict[object, AdoptedDelivery] = {}
    for each in _messages(records, MessageDelivered):
        told.setdefault(
            each.message_id,
            AdoptedDelivery(
                each.message_id,
                each.case_id,
                each.seq,
                each.result.value,
                each.provider,
                each.error,
                each.occurred_at,
            ),
        )
    if not told:
        return 0
    events = sorted({(each.case_id, each.seq) for each in told.values()})
    columns = [case_id for case_id, _ in events], [seq for _, seq in events]
    for key in await adoption.ended(work.connection, *columns):
        told.pop(_identity(key), None)
    to_finish: list[tuple[Key, AdoptedDelivery]] = []
    for key in await adoption.waiting(work.connection, *columns):
        if delivery := told.pop(_identity(key), None):
            to_finish.append((key, delivery))
    new = 0
    if to_finish:
        new += await adoption.finish_waiting(work.connection, to_finish)
    if told:
        new += await adoption.keep(work.connection, list(told.values()))
    return new


async def adopt_feedback(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in ratings; returns how many the database did not know."""
    ratings = [
        Rating(
            each.case_id,
            each.closing,
            each.feedback_id,
            each.solved,
            each.score,
            each.reopen,
            each.occurred_at,
        )
        for each in _messages(records, FeedbackGiven)
    ]
    return await adoption.insert_ratings(work.connection, ratings) if ratings else 0


def _identity(key: Key) -> object:
    case_id, recipient, seq = key
    return message_id(case_id, seq, recipient)


def _messages(records: Sequence[ConsumedRecord], model: type[OurMessage]) -> Iterator[OurMessage]:
    """What the records say. One that breaks its contract says nothing to anybody: its readers have
    it as a dead letter. Raises UnknownEventType if a newer build wrote."""
    for record in records:
        try:
            message = decode(record, {model.TYPE: model})
        except BadRecord as error:
            log.error("own record cannot be read", error=str(error), **record.log_context)
        else:
            assert isinstance(message, model)
            yield message
