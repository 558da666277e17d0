"""What this service may do in Kafka, looked at again and again: what is missing is named."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.rights_view import RightsView, look_at_rights

log = structlog.get_logger()

EVERY_SECONDS: Final = 10.0
EVERY_SECONDS_BY_TOKEN: Final = 300.0
"""Each look asks the identity provider for tokens of its own."""
Look = Callable[[KafkaAccess, str, str], Awaitable[RightsView]]


class OwnRights:
    """Looks with the service's own credentials. Kafka's errors name neither topic nor operation,
    and of some rights (to trim, to write a dead letter) nobody would hear for days."""

    def __init__(
        self, service: str, access: KafkaAccess, prefix: str, look: Look = look_at_rights
    ) -> None:
        self._look = look
        self._service = service
        self._access = access
        self._prefix = prefix
        self._missing: list[str] = []
        by_token = access.sasl is not None and access.sasl.mechanism == "OAUTHBEARER"
        self._every = EVERY_SECONDS_BY_TOKEN if by_token else EVERY_SECONDS

    @property
    def are_kept(self) -> bool:
        """Whether there are any: without credentials everybody may do everything."""
        return self._access.uses_sasl or self._access.tls.certificate is not None

    def missing(self) -> Sequence[str]:
        """Each right that is missing. While no broker answers, as it was: others say that."""
        return self._missing

    async def run(self) -> None:
        """Until cancelled."""
        if not self.are_kept:
            await asyncio.Event().wait()
        while True:
            try:
                view = await self._look(self._access, self._prefix, self._service)
            except (KafkaError, OSError, TimeoutError, NotImplementedError) as error:
                log.info("rights in Kafka cannot be looked at", error=type(error).__name__)
            else:
                found = [
                    f"rights: may not {each.operation} {each.kind} {each.name}"
                    for each in view.missing
                ]
                if found and found != self._missing:
                    log.error("Kafka does not allow what this service needs", missing=found)
                self._missing = found
            await asyncio.sleep(self._every)
