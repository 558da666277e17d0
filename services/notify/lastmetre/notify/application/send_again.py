"""Sending a message again that failed, or of which nobody knows whether it went out."""

from collections.abc import Callable
from enum import StrEnum
from uuid import UUID

from lastmetre.common.contracts.base import Actor
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.transactions import own_transaction
from lastmetre.notify.adapters.postgres import message_log, sending_again
from lastmetre.notify.domain.sending_again import AskedAgain
from lastmetre.notify.domain.stored_messages import StoredMessage


class Answer(StrEnum):
    """What is answered to a request."""

    ASKED = "asked"
    UNKNOWN_MESSAGE = "unknown_message"
    REQUEST_ID_USED = "request_id_used"
    """Another message was sent again under it."""
    NOT_FAILED = "not_failed"
    """It was sent, waits to be sent, or was not to be sent."""


class FindMessage:
    """Looks a message up by the id that it has since it was sent first."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, case_id: UUID, first_id: UUID) -> StoredMessage | None:
        """The message as it stands now, or as it was sent again last; None if there is none."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return _last(await message_log.messages_of(connection, case_id), first_id)


class SendAgain:
    """Puts a message behind those that wait to be sent, once for each request.

    `real_clock` says when it was asked for: retries and expiry must not follow a time-lapse.
    """

    def __init__(
        self, host: ServiceHost, real_clock: Clock, wake_sender: Callable[[], None]
    ) -> None:
        self._host = host
        self._real_clock = real_clock
        self._wake_sender = wake_sender

    async def __call__(
        self, case_id: UUID, first_id: UUID, request_id: UUID, actor: Actor
    ) -> Answer:
        """The same request again gets the same answer and sends nothing more."""
        async with own_transaction(self._host, "again") as work:
            await sending_again.lock(work.connection, case_id)
            known = await sending_again.requests(work.connection, [request_id])
            if request_id in known:
                same = known[request_id].first_id == first_id
                return Answer.ASKED if same else Answer.REQUEST_ID_USED
            message = _last(await message_log.messages_of(work.connection, case_id), first_id)
            if message is None:
                return Answer.UNKNOWN_MESSAGE
            if not message.can_be_sent_again:
                return Answer.NOT_FAILED
            await sending_again.ask(
                work.connection,
                message,
                AskedAgain(request_id, actor, work.now),
                self._real_clock.now(),
                self._host.identities.traceparent(),
            )
            work.after_commit(self._wake_sender)
        return Answer.ASKED


def _last(messages: list[StoredMessage], first_id: UUID) -> StoredMessage | None:
    found = [each for each in messages if each.first_id == first_id]
    return next((each for each in found if not each.superseded), None)
