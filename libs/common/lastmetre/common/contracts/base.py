"""What every message on our topics has in common."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

# PostgreSQL cannot hold NUL, and a control character in a name or a code is never meant.
PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

Code = Annotated[
    str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")
]
ShortText = Annotated[str, StringConstraints(max_length=500, pattern=PRINTABLE)]
LongText = Annotated[str, StringConstraints(max_length=10_000, pattern=PRINTABLE)]

# PostgreSQL and Python take no instant that leaves the years 1 to 9999 in another time zone, and
# whoever sends one has made a mistake.
Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]


class Channel(StrEnum):
    """How a report came."""

    HOTLINE = "hotline"
    APP = "app"
    PATROL = "patrol"


class Origin(StrEnum):
    """Whether a report happens now or is history read from a file."""

    LIVE = "live"
    IMPORT = "import"


class Language(StrEnum):
    """Language in which somebody is written to."""

    CHINESE = "zh"
    ENGLISH = "en"


class Model(BaseModel):
    """A value inside a message. Unknown fields are ignored: newer writers may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Message(Model):
    """A message body. Subclasses state their CloudEvents type, which ends in the version."""

    TYPE: ClassVar[str]

    def to_json(self) -> bytes:
        """The body as it goes onto the topic: UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def from_json(cls, body: bytes | str) -> Self:
        """The message that `body` holds; raises pydantic.ValidationError."""
        message: Self = cls.__pydantic_validator__.validate_json(body)
        return message


class Position(Model):
    """A point on WGS-84, degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class ActorRole(StrEnum):
    """Who did something; `system` is a rule of ours."""

    SYSTEM = "system"
    LEAD = "lead"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    RESIDENT = "resident"
    PARTNER = "partner"


class Actor(Model):
    """Who did something. `id` is a staff id, never a resident's name or phone."""

    role: ActorRole
    id: Code | None = None


SYSTEM = Actor(role=ActorRole.SYSTEM)


class CaseMessage(Message):
    """A message about one case; its Kafka key is the case id."""

    case_id: UUID


def message_types(*modules: Any) -> dict[str, type[Message]]:
    """Every message class of `modules` by its CloudEvents type."""
    return {
        found.TYPE: found
        for module in modules
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Message) and "TYPE" in vars(found)
    }


__all__ = [
    "SYSTEM",
    "Actor",
    "ActorRole",
    "AwareDatetime",
    "CaseMessage",
    "Channel",
    "Code",
    "Instant",
    "Language",
    "LongText",
    "Message",
    "Model",
    "Origin",
    "Position",
    "ShortText",
    "message_types",
]
