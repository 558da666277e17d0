"""Messages on `channels.*` (a report as its channel sent it) and `reports` (normalised)."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from lastmetre.common.contracts.base import (
    Accuracy,
    Channel,
    Code,
    Instant,
    Language,
    LongText,
    Message,
    Model,
    Name,
    Origin,
    Position,
    ShortText,
)
from lastmetre.common.contracts.place_in_words import PlaceInWords

SENT_LENGTH: Final = 128 * 1024
"""Characters of a partner's document that is kept beside the report read from it: a record with
it is within Kafka's limit, whatever they are."""
SentText = Annotated[str, StringConstraints(max_length=SENT_LENGTH)]


class Datum(StrEnum):
    """The datum that a position was sent in; other spellings of it are read as well."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"

    @classmethod
    def _missing_(cls, value: object) -> "Datum | None":
        known = (
            _SPELLINGS.get(_NO_LETTERS.sub("", value.casefold()))
            if isinstance(value, str)
            else None
        )
        return cls(known) if known else None


_NO_LETTERS: Final = re.compile(r"[\s_:.-]+")
_SPELLINGS: Final = {
    "wgs84": "wgs84", "epsg4326": "wgs84", "gcj02": "gcj02", "bd09": "bd09", "bd09ll": "bd09",
    # Survey data of China, centimetres from WGS-84.
    "cgcs2000": "wgs84", "epsg4490": "wgs84",
}  # fmt: skip


def _blank_is_none(value: object) -> object:
    """Forms and tables send an empty text for a number that is not there."""
    return None if isinstance(value, str) and not value.strip() else value


Degrees = Annotated[float | None, BeforeValidator(_blank_is_none)]


class SubmittedPosition(Model):
    """A point as it was sent: degrees in `datum`, `accuracy_metres` the radius of doubt.

    Half a point, and 0,0, is what a device without a fix sends: it is taken as none.
    """

    latitude: Degrees = Field(default=None, ge=-90, le=90)
    longitude: Degrees = Field(default=None, ge=-180, le=180)
    datum: Datum = Field(default=Datum.WGS84, description="also GCJ-02, BD-09, CGCS2000")
    accuracy_metres: Annotated[Accuracy | None, BeforeValidator(_blank_is_none)] = None


class SubmittedContact(Model):
    """How to reach the reporter. Personal data: goes to the vault and nowhere else."""

    name: Name | None = None
    phone: ShortText | None = None
    email: ShortText | None = None
    language: Language = Language.CHINESE


class ReportSubmitted(Message):
    """A report as the channel sent it. Key: source id. The sender is in `ce_source`.

    Identity is (sender, channel, source id): the same again is a repetition, whatever `ce_id`
    says; the same with another body is a conflict that a person looks at.
    """

    TYPE: ClassVar[str] = "lastmetre.report.submitted.v1"

    source_id: Code = Field(description="the report's id at its sender")
    reported_at: Instant | None = Field(
        default=None, description="when it was reported; absent: when we received it"
    )
    sub_channel: Code | None = None
    category: Code | None = Field(default=None, description="the sender's or the city's code")
    text: LongText | None = None
    address: ShortText | None = None
    position: SubmittedPosition | None = None
    named_area_id: Code | None = Field(
        default=None, description="the area that its sender named, for which `position` stands"
    )
    contact: SubmittedContact | None = None
    origin: Origin = Origin.LIVE
    read_by: Code | None = Field(
        default=None, description="the mapping that read it: name, version, digest of its contents"
    )
    sent: SentText | None = Field(
        default=None, description="what its sender sent, as JSON text, where a mapping read it"
    )


HEXADECIMAL: Final = "^[0-9a-f]+$"


class ReportSource(Model):
    """The channel record that counted for a report, so that intake can come back from the log.

    `identity` is what the receipt was made of: a keyed hash of sender, channel and source id, which
    says nothing about a person and opens no page without the link key.
    """

    identity: str = Field(pattern=HEXADECIMAL, description="hexadecimal")
    topic: ShortText
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    appended_at: int = Field(ge=0, description="milliseconds since 1970 UTC")


class ReportAccepted(Message):
    """A normalised report. Key: report id."""

    TYPE: ClassVar[str] = "lastmetre.report.accepted.v1"

    report_id: UUID
    channel: Channel
    sub_channel: Code | None = None
    origin: Origin
    category: Code = Field(description="the city's code, or `unknown`")
    source_category: Code | None = None
    reported_at: AwareDatetime
    reported_at_not_believed: AwareDatetime | None = Field(
        default=None, description="what its sender says, if `received_at` counts instead"
    )
    received_at: AwareDatetime = Field(description="when its Kafka record was appended")
    position: Position | None = None
    accuracy_metres: Accuracy | None = None
    named_area_id: Code | None = Field(
        default=None, description="the area that its sender named, for which `position` stands"
    )
    place_in_words: PlaceInWords | None = Field(
        default=None, description="what its words say of where it is, if none was sent"
    )
    reporter_reachable: bool = Field(description="the vault holds a way to reach the reporter")
    language: Language
    read_by: Code | None = Field(
        default=None, description="the mapping that read it: name, version, digest of its contents"
    )
    came_from: ReportSource | None = None

    @property
    def sent_position(self) -> Position | None:
        """The position that came with it: not one that its words say."""
        return None if self.place_in_words else self.position


RejectionReason = Literal[
    "says_nothing",
    "reported_in_the_future",
    "reported_too_long_ago",
    # Of earlier versions: today such a report has no position.
    "position_is_null_island",
]


def _at_least_one(reasons: tuple[str, ...]) -> tuple[str, ...]:
    # With a bound on its length, pydantic calls a tuple too short whose one value is not known yet:
    # a dead letter, where the record has to wait for a newer build.
    if not reasons:
        raise PydanticCustomError("too_short", "There is at least one reason")
    return reasons


class ReportRejected(Message):
    """A report that was read but cannot become a case. Key: report id."""

    TYPE: ClassVar[str] = "lastmetre.report.rejected.v1"

    report_id: UUID
    channel: Channel
    sub_channel: Code | None = None
    origin: Origin
    reported_at: AwareDatetime
    received_at: AwareDatetime
    reasons: Annotated[tuple[RejectionReason, ...], AfterValidator(_at_least_one)] = Field(
        json_schema_extra={"minItems": 1}
    )
    read_by: Code | None = Field(
        default=None, description="the mapping that read it: name, version, digest of its contents"
    )
    came_from: ReportSource | None = None
