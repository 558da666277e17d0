"""What every message on our topics has in common."""

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from lastmetre.common.text import cleaned, one_line

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Some writers begin JSON with it; RFC 8259 lets readers pass over it."""

# PostgreSQL cannot hold NUL, and a control character in a name or a code is never meant.
PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

Code = Annotated[
    str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")
]


def _cleaned(value: object) -> object:
    return cleaned(value) if isinstance(value, str) else value


def _one_line(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


ShortText = Annotated[
    str, StringConstraints(max_length=500, pattern=PRINTABLE), BeforeValidator(_cleaned)
]
LongText = Annotated[
    str, StringConstraints(max_length=10_000, pattern=PRINTABLE), BeforeValidator(_cleaned)
]
Name = Annotated[
    str, StringConstraints(max_length=500, pattern=PRINTABLE), BeforeValidator(_one_line)
]
"""A person's, a place's or a post's: it may stand in the header of an e-mail."""

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _rfc_3339(value: object) -> object:
    """Pydantic would take a number, and text that is one, as seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise PydanticCustomError(
        "rfc_3339",
        "A time is RFC 3339 text with its time zone, such as 2026-11-30T08:00:00+08:00",
    )


def _iso_day(value: object) -> object:
    """As `_rfc_3339`, for days."""
    if isinstance(value, date) or (isinstance(value, str) and _ISO_DAY.fullmatch(value)):
        return value
    raise PydanticCustomError("iso_day", "A day is written as 2026-11-30")


Day = Annotated[date, BeforeValidator(_iso_day)]

LARGEST_ACCURACY: Final = 1_000_000
"""Metres. Beyond it a radius of doubt says nothing."""
Accuracy = Annotated[
    float, Field(ge=0, le=LARGEST_ACCURACY, description="metres: the radius of doubt")
]

# PostgreSQL and Python take no instant that leaves the years 1 to 9999 in another time zone, and
# whoever sends one has made a mistake.
Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
    BeforeValidator(_rfc_3339),
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
        if isinstance(body, bytes):
            body = body.removeprefix(BYTE_ORDER_MARK)
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
    "BYTE_ORDER_MARK",
    "SYSTEM",
    "Actor",
    "ActorRole",
    "AwareDatetime",
    "CaseMessage",
    "Channel",
    "Code",
    "Day",
    "Instant",
    "Language",
    "LongText",
    "Message",
    "Model",
    "Name",
    "Origin",
    "Position",
    "ShortText",
    "message_types",
]
