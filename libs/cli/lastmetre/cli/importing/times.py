"""Local times of a file, made instants: daylight saving respected, its two traps said."""

from datetime import UTC, datetime
from typing import NamedTuple

from lastmetre.cli.importing.mapping import Times


class Moment(NamedTuple):
    """An instant in UTC; `doubt` says why another one could have been meant."""

    at: datetime
    doubt: str | None = None


def read_time(text: str, times: Times) -> Moment:
    """The instant that `text` means. Raises ValueError for what is no time in that format.

    An hour that the clocks went through twice is taken as the first of the two; a time that they
    skipped counts as if they had not been moved yet.
    """
    try:
        local = datetime.strptime(text, times.format)  # noqa: DTZ007 the zone follows
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time as {times.format}") from error
    if local.tzinfo is not None:
        return Moment(local.astimezone(UTC))
    first = local.replace(tzinfo=times.zone)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    at = first.astimezone(UTC)
    if before is None or after is None or before == after:
        return Moment(at)
    if before > after:
        return Moment(
            at, f"{text} was twice, the clocks went back; the first is taken, {at:%H:%M}Z"
        )
    return Moment(at, f"{text} never was, the clocks went forward; read as {at:%H:%M}Z")
