"""A message that says nothing of any case: whether the way to people works."""

from datetime import UTC
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.contracts.vault import Contact
from lastmetre.common.service.clock import Clock
from lastmetre.notify.application.rendering import ProviderRouting
from lastmetre.notify.domain.messages import REPORTER
from lastmetre.notify.domain.provider import OutboundMessage

SUBJECT: Final = "Lastmetre: 测试 / test"
BODY: Final = (
    "这是一条测试消息，无需处理。\n\n"
    "This is a test of an installation: there is nothing to be done."
)
STANDS_IN: Final = ("folder", "sink")
"""Providers that reach nobody. Of one more file in the folder the books would not know."""


class Tried(NamedTuple):
    """What came of it. Without result and error nothing was sent: the provider reaches nobody."""

    provider: str
    result: DeliveryResult | None
    error: str | None


class NothingLogged:
    """An attempt log for what belongs to no case: nobody has to know of it after a crash."""

    async def tell(self, provider: str, message: OutboundMessage) -> bool:
        """It may go out."""
        return True


class TryMessage:
    """Sends by the providers that are set. Nothing of it is kept, and no event tells of it."""

    def __init__(self, routing: ProviderRouting, clock: Clock) -> None:
        self._routing = routing
        self._clock = clock

    async def __call__(self, contact: Contact) -> Tried:
        """To one address. Raises ValueError without any."""
        way = self._routing.of(contact)
        if way is None:
            raise ValueError("a contact with a phone or an e-mail address")
        provider, address = way
        if provider.name in STANDS_IN:
            return Tried(provider.name, None, None)
        (outcome,) = await provider.send([self._message(address, uuid4())])
        return Tried(provider.name, outcome.result, outcome.error)

    def _message(self, address: str, identity: UUID) -> OutboundMessage:
        return OutboundMessage(
            case_id=identity,
            number="",
            seq=0,
            recipient=REPORTER,
            kind="test",
            language=Language.CHINESE,
            address=address,
            day=self._clock.now().astimezone(UTC).date(),
            subject=SUBJECT,
            body=BODY,
            attempt=1,
            traceparent="",
        )
