"""A message ready to go out, and what came of trying."""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, NamedTuple, Protocol
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.domain.messages import id_sent_again, message_id
from lastmetre.notify.domain.sending_again import AskedAgain


class OutboundMessage(NamedTuple):
    """Everything a provider needs. Lives in memory only: it holds an address."""

    case_id: UUID
    number: str
    seq: int
    recipient: str
    kind: str
    language: str
    address: str
    day: date
    """The city's day of what the message tells of: the same at every attempt."""
    subject: str
    body: str
    attempt: int
    traceparent: str
    again: AskedAgain | None = None

    @property
    def message_id(self) -> UUID:
        """What a provider may know a repetition by."""
        first_id = message_id(self.case_id, self.seq, self.recipient)
        return id_sent_again(first_id, self.again.request_id) if self.again else first_id


class Outcome(NamedTuple):
    """What came of one attempt. No result: not delivered, try again later because of `error`."""

    result: DeliveryResult | None
    error: str | None = None


SENT = Outcome(DeliveryResult.SENT)


class AttemptLog(Protocol):
    """Where it is told that a message is about to go out, by a provider that cannot repeat it."""

    async def tell(self, provider: str, message: OutboundMessage) -> bool:
        """Whether Kafka has acknowledged that. If not, the message must not go out now."""


class Provider(Protocol):
    """A way out. Names are for our books; errors are short codes without personal data."""

    name: ClassVar[str]
    repeatable: ClassVar[bool]
    """The same message a second time has no second effect: it may be sent again after a crash."""
    max_in_flight: ClassVar[int]
    """Messages that may be with it at a time."""
    batch_size: ClassVar[int]
    """Messages handed over in one call; the result is recorded when all of them are through."""

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """Try each message. Raises nothing that a provider's trouble can cause."""

    async def close(self) -> None:
        """Let go of connections."""
