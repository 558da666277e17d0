"""Kafka's ApiVersions in version 3, which names features (KIP-584): so, which release answers.

aiokafka 0.14 asks for version 2 at most, which knows of no features.
"""

from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

API_KEY: Final = 18
API_VERSION: Final = 3
SUPPORTED: Final = 0
"""Tag of what the broker's build knows."""
FINALIZED: Final = 2
"""Tag of what the cluster was told to use."""
METADATA: Final = "metadata.version"
_RELEASES: Final = (
    (7, "3.3"), (8, "3.4"), (9, "3.5"), (12, "3.6"), (15, "3.7"), (20, "3.8"), (21, "3.9"),
    (22, "4.0"), (26, "4.1"), (28, "4.2"), (30, "4.3"), (31, "4.4"),
)  # fmt: skip
"""The first metadata version of each release, as Kafka's class MetadataVersion lists them."""
_FEATURES: Final = CompactArray(
    ("name", CompactString("utf-8")), ("one", Int16), ("other", Int16), ("tags", TaggedFields)
)


class _Response(Response):
    API_KEY = API_KEY
    API_VERSION = API_VERSION
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(
                ("api_key", Int16),
                ("min_version", Int16),
                ("max_version", Int16),
                ("tags", TaggedFields),
            ),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = API_KEY
    API_VERSION = API_VERSION
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("client_software_name", CompactString("utf-8")),
        ("client_software_version", CompactString("utf-8")),
        ("tags", TaggedFields),
    )

    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        """Without tags in any version: a broker answers so before it knows what we understand."""
        return ResponseHeader_v0.decode(read_buffer)


class Features(Request[_Struct]):
    """Asks a broker which features it has."""

    API_KEY = API_KEY

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        """As aiokafka asks for it."""
        return request_struct_class("lastmetre", "1", {})


def metadata_level(answer: Any, tag: int) -> int | None:
    """The highest metadata version that the answer has under that tag; None if it says none."""
    told = answer.tags.get(tag)
    features = (_FEATURES.decode(BytesIO(told)) or []) if told else []
    return next((max(each[1], each[2]) for each in features if each[0] == METADATA), None)


def release_of(level: int) -> str:
    """The Kafka release that a metadata version belongs to, as `4.3`."""
    known = [name for first, name in _RELEASES if first <= level]
    if not known:
        return "before 3.3"
    return known[-1] if level <= _RELEASES[-1][0] else f"after {known[-1]}"
