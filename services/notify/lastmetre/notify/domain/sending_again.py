"""Sending a message again, because somebody asked for it."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import Actor
from lastmetre.common.contracts.deliveries import DeliveryResult

SENT_AGAIN: Final = frozenset({DeliveryResult.FAILED.value, DeliveryResult.UNKNOWN.value})
"""The ends after which a message can be sent again."""


class AskedAgain(NamedTuple):
    """Who asked to send a message again, and when: city time."""

    request_id: UUID
    actor: Actor
    asked_at: datetime
