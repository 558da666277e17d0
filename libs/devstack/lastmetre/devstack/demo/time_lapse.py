"""When the sample city's day is played, and how its clock runs meanwhile."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from lastmetre.common.service.clock import RealClock, TimeLapse
from lastmetre.devstack.home import Home, write_private

CITY_ZONE: Final = ZoneInfo("Asia/Shanghai")
SPEED: Final = 1560.0
"""A day in 55 seconds, with what leads still do after midnight about a minute: `keep_pace` makes it
slower where the machine does not keep up."""
SLOWEST: Final = SPEED / 8
LAG_ALLOWED: Final = timedelta(minutes=20)
"""City time that anything may wait for its turn: a busy machine plays more slowly."""
AFTER_MIDNIGHT: Final = timedelta(hours=2)
"""City time goes on so long, so that nothing of the day is recorded at the jump to real time."""
LAST_STEP_BEFORE_END: Final = timedelta(hours=1)
NOTICED_WITHIN: Final = timedelta(seconds=0.5)
"""Until the day begins: every process looks for the time-lapse when it next asks its clock."""
NOTABLE: Final = 0.1
"""A change of speed by less is not worth telling the services."""
HELD_AT_MOST: Final = timedelta(hours=1)
"""Real time that the city's clock may stand, while the stack starts."""


def yesterday(now: datetime) -> date:
    """The city's local day before the one of `now`."""
    return now.astimezone(CITY_ZONE).date() - timedelta(days=1)


def midnights(day: date) -> tuple[datetime, datetime]:
    """When that local day begins and ends."""
    begin, end = (
        datetime.combine(each, time(), CITY_ZONE) for each in (day, day + timedelta(days=1))
    )
    return begin, end


def clock_file(home: Home) -> Path:
    """Where the services of the stack in `home` look for a time-lapse."""
    return home.run / "time-lapse.json"


def hold_clock(home: Home, at: datetime) -> None:
    """Let the city's time stand there until a DayTimeLapse begins.

    What was in flight when a play was interrupted is handled while the stack starts: it belongs
    to the day that is played, and not to today.
    """
    anchor = RealClock().now() + HELD_AT_MOST
    span = TimeLapse(epoch=at, anchor=anchor, speed=SPEED, until=at + AFTER_MIDNIGHT)
    write_private(clock_file(home), span.model_dump_json(indent=2) + "\n")


class DayTimeLapse:
    """The time-lapse of one local day, ended by the jump to real time. It begins now.

    `played_until` is where an interrupted play stood, in city time.
    """

    def __init__(self, day: date, home: Home, played_until: datetime | None = None) -> None:
        self._real = RealClock()
        begin, midnight = midnights(day)
        anchor = self._real.now() + NOTICED_WITHIN
        if played_until is not None:
            begin = min(max(begin, played_until), midnight)
        # Shortly after midnight there is not so much of the new day yet.
        until = min(midnight + AFTER_MIDNIGHT, max(anchor, midnight))
        self._file = clock_file(home)
        self._run(TimeLapse(epoch=begin, anchor=anchor, speed=SPEED, until=until))

    def _run(self, span: TimeLapse) -> None:
        self._span = span
        write_private(self._file, span.model_dump_json(indent=2) + "\n")

    def keep_pace(self, waiting: float) -> None:
        """Run as fast as can be, when something has been waiting for so many real seconds."""
        allowed = LAG_ALLOWED.total_seconds() / max(waiting, 0.001)
        speed = min(max(allowed, SLOWEST), SPEED)
        if self.is_over or abs(speed / self._span.speed - 1) < NOTABLE:
            return
        real = self._real.now()
        changes = {"epoch": self._span.at(real), "anchor": max(real, self._span.anchor)}
        self._run(self._span.model_copy(update={**changes, "speed": speed}))

    def now(self) -> datetime:
        """The city's time."""
        return self._span.at(self._real.now()).astimezone(UTC)

    @property
    def last_step(self) -> datetime:
        """When leads and residents stop, in city time."""
        return self._span.until - LAST_STEP_BEFORE_END

    @property
    def is_over(self) -> bool:
        """City time is real time again."""
        real = self._real.now()
        return self._span.at(real) == real
