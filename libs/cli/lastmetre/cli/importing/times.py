"""Local times of a file, made instants: daylight saving respected, its two traps said."""

from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from lastmetre.cli.importing.mapping import Times

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2100
"""Beyond these a time is a slip of the pen or a mark for "none"."""


class Moment(NamedTuple):
    """An instant in UTC; `doubt` says why another one could have been meant."""

    at: datetime
    doubt: str | None = None


def read_time(text: str, times: Times) -> Moment:
    """The instant that `text` means. Raises ValueError for what is no time in that
    format, or in no year that can be meant.

    An hour that the clocks went through twice is taken as the first of the two; a time that they
    skipped counts as if they had not been moved yet.
    """
    try:
        local = datetime.strptime(text, times.format)  # noqa: DTZ007 the zone follows
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time as {times.format}") from error
    # Before any calculation: near the years 1 and 9999 another zone has no such time.
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    moment = _instant(local, text, times.zone)
    if not FIRST_YEAR <= moment.at.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is not in the years {FIRST_YEAR} to {LAST_YEAR} in UTC")
    return moment


def _instant(local: datetime, text: str, zone: ZoneInfo) -> Moment:
    if local.tzinfo is not None:
        return Moment(local.astimezone(UTC))
    first = local.replace(tzinfo=zone)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    at = first.astimezone(UTC)
    if before is None or after is None or before == after:
        return Moment(at)
    if before > after:
        return Moment(
            at, f"{text} was twice, the clocks went back; the first is taken, {at:%H:%M}Z"
        )
    return Moment(at, f"{text} never was, the clocks went forward; read as {at:%H:%M}Z")
