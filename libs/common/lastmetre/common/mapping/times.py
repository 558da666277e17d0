"""Times as partners write them, made instants: daylight saving respected, its two traps said."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from lastmetre.common.mapping.model import RFC_3339, UNIX, Times, is_local

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2100
"""Beyond these a time is a slip of the pen or a mark for "none"."""
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_COUNTED: Final = re.compile(r"-?\d{1,16}(?:\.\d+)?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NoTime(ValueError):
    """What is wrong with a time: `words` with a {} for what was sent."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Moment(NamedTuple):
    """An instant in UTC; `doubt` says why another one could have been meant."""

    at: datetime
    doubt: str | None = None


def read_time(text: str, times: Times) -> Moment:
    """The instant that `text` means. Raises NoTime for what is no time in any of the formats, or in
    no year that can be meant.

    An hour that the clocks went through twice is taken as the first of the two; a time that they
    skipped counts as if they had not been moved yet.
    """
    for pattern in times.format:
        read = _read(text, pattern)
        if read is not None:
            break
    else:
        formats = " or ".join(times.format).replace("{", "{{").replace("}", "}}")
        raise NoTime(f"{{}} is not a time as {formats}")
    # Before any calculation: near the years 1 and 9999 another zone has no such time.
    if not FIRST_YEAR <= read.year <= LAST_YEAR:
        raise NoTime(f"{{}} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    moment = _instant(read, text, times.zone if is_local(pattern) else None)
    if not FIRST_YEAR <= moment.at.year <= LAST_YEAR:
        raise NoTime(f"{{}} is not in the years {FIRST_YEAR} to {LAST_YEAR} in UTC")
    return moment


def _read(text: str, pattern: str) -> datetime | None:
    """What `text` says in this format: local or aware as the format is."""
    try:
        if pattern == RFC_3339:
            return datetime.fromisoformat(text) if _RFC_3339.fullmatch(text) else None
        if pattern in UNIX:
            if not _COUNTED.fullmatch(text):
                return None
            return _EPOCH + timedelta(seconds=float(text) / UNIX[pattern])
        return datetime.strptime(text, pattern)  # noqa: DTZ007 the zone follows
    except (ValueError, OverflowError):
        return None


def _instant(read: datetime, text: str, zone: ZoneInfo | None) -> Moment:
    if zone is None or read.tzinfo is not None:
        return Moment(read.astimezone(UTC))
    first = read.replace(tzinfo=zone)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    at = first.astimezone(UTC)
    if before is None or after is None or before == after:
        return Moment(at)
    if before > after:
        return Moment(
            at, f"{text} was twice, the clocks went back; the first is taken, {at:%H:%M}Z"
        )
    return Moment(at, f"{text} never was, the clocks went forward; read as {at:%H:%M}Z")
