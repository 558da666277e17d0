"""The city's clock: real time, or the demo's time-lapse."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import AwareDatetime, BaseModel, Field


class Clock(Protocol):
    """Where the time comes from. Always injected."""

    def now(self) -> datetime:
        """The present instant of the city, aware, in UTC."""


class RealClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)


class TimeLapse(BaseModel):
    """A stretch of city time played faster than it was.

    City time stands at `epoch` until the real instant `anchor`, then runs `speed` times as fast
    until it reaches `until`, and is real time from then on.
    """

    epoch: AwareDatetime
    anchor: AwareDatetime
    speed: float = Field(gt=0)
    until: AwareDatetime

    def at(self, real: datetime) -> datetime:
        """City time at the real instant `real`."""
        elapsed = max(real - self.anchor, real - real)
        city = self.epoch + elapsed * self.speed
        return city if city < self.until else real


class TimeLapseClock:
    """A clock that plays the time-lapse in a file over another clock, as soon as there is one."""

    def __init__(self, file: Path, real: Clock) -> None:
        self._file = file
        self._real = real
        self._read_at = 0
        self._lapse: TimeLapse | None = None

    def now(self) -> datetime:
        """The present instant of the city, aware, in UTC."""
        return self.at(self._real.now())

    def at(self, real: datetime) -> datetime:
        """City time at the real instant `real`, in UTC."""
        try:
            written_at = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return real
        if self._lapse is None or written_at != self._read_at:
            self._lapse = TimeLapse.model_validate_json(self._file.read_bytes())
            self._read_at = written_at
        return self._lapse.at(real).astimezone(UTC)


def city_time(clock: Clock, real: datetime) -> datetime:
    """The city's time at a real instant, as a record's append time is one."""
    return clock.at(real) if isinstance(clock, TimeLapseClock) else real
