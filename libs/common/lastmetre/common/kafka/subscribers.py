"""What a service subscribes to and publishes, declared with FastStream.

FastStream holds the subscribers, their models and the security of the connection, and makes the
AsyncAPI of it. Its own loop does not run: it swallows what a handler raises, and has no place for
positions that are sought and for batches that are gathered. `BatchConsumer` is the loop.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import GenericAlias
from typing import Annotated, Any, Final, NamedTuple

from faststream import AckPolicy, Context
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity
from faststream.specification import AsyncAPI
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork

Work = Annotated[UnitOfWork, Context("work", cast=False)]
"""The transaction that a handler works in."""


class Carries:
    """Says which models the records of a batch carry, for FastStream's specification.

    A handler is given the records themselves, and validates one after the other: a bad one must not
    drop its batch.
    """

    def __init__(self, models: Any) -> None:
        self._models = models

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As a list of the models."""
        return handler.generate_schema(GenericAlias(list, (self._models,)))


Handler = Callable[[UnitOfWork, Sequence[ConsumedRecord]], Awaitable[None]]


class Subscriber(NamedTuple):
    """A consumer group of a service: its name in the service, its topics, what handles them."""

    name: str
    topics: tuple[str, ...]
    handle: Handler
    linger_seconds: float


class Subscribers:
    """A service's subscribers and publishers. Topics are named without the city's prefix."""

    def __init__(
        self, service: str, bootstrap_servers: Sequence[str], security: BaseSecurity | None
    ) -> None:
        self._service = service
        self.broker: Final = KafkaBroker(
            list(bootstrap_servers),
            client_id=service,
            security=security,
            allow_auto_create_topics=False,
            logger=None,
        )
        self.declared: list[Subscriber] = []

    def subscriber(
        self, name: str, topics: Sequence[str], handle: Handler, linger_seconds: float
    ) -> None:
        """Declare a consumer group over `topics`, all in one order of effects."""
        declare = self.broker.subscriber(
            *topics,
            batch=True,
            group_id=f"{self._service}.{name}",
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            title=f"{self._service}.{name}",
        )
        declare(handle)
        self.declared.append(Subscriber(name, tuple(topics), handle, linger_seconds))

    def publisher(self, topic: str, models: Iterable[type[Any]]) -> None:
        """Declare that the service writes `topic`, by its outbox."""
        kinds = tuple(models)
        schema: Any = kinds[0]
        for kind in kinds[1:]:
            schema = schema | kind
        self.broker.publisher(topic, title=f"{self._service}.{topic}", schema=schema)

    def asyncapi(self, version: str) -> AsyncAPI:
        """The specification of the service's channels."""
        return AsyncAPI(self.broker, title=f"Lastmetre {self._service}", version=version)
