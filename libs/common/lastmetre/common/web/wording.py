"""Times, durations and figures in words, for one language and the city's time zone.

Pure: whoever calls says what time it is. Texts are in the kit's catalogue.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations

from lastmetre.common.web.languages import Language

NO_BREAK = "\N{NO-BREAK SPACE}"  # keeps a figure and its unit on one line
_MINUTE = 60
_HOUR = 3600
_DAY = 86400

_SOON = timedelta(minutes=30)

DueKind = Literal["ok", "soon", "over", "done"]


@dataclass(frozen=True, slots=True)
class Due:
    """How the deadline `at` stands: `kind` picks shape and colour, `text` says it."""

    kind: DueKind
    text: str
    at: datetime


class Wording:
    """Words for times and figures. All instants are aware; they are shown in `time_zone`."""

    def __init__(
        self, language: Language, time_zone: ZoneInfo, translations: NullTranslations
    ) -> None:
        self.language = language
        self.time_zone = time_zone
        self._translations = translations

    def _(self, message: str, **values: object) -> str:
        return str(self._translations.ugettext(message)) % values

    @property
    def dot(self) -> str:
        """What stands between two short things on a line; in Chinese without spaces."""
        return "·" if self.language == "zh" else " · "

    def local(self, at: datetime) -> datetime:
        """The instant in the city's time, to the second."""
        return at.astimezone(self.time_zone).replace(microsecond=0)

    def iso(self, at: datetime) -> str:
        """For `<time datetime>`: ISO 8601 with the city's offset."""
        return self.local(at).isoformat()

    def clock(self, at: datetime) -> str:
        """The time of day, `16:30`."""
        return self.local(at).strftime("%H:%M")

    def seconds(self, at: datetime) -> str:
        """The time of day to the second, `16:30:05`."""
        return self.local(at).strftime("%H:%M:%S")

    def day(self, at: datetime, now: datetime) -> str:
        """Today, yesterday, tomorrow, or the date (with the year if it is not this one)."""
        days = (self.local(at).date() - self.local(now).date()).days
        match days:
            case 0:
                return self._("today")
            case -1:
                return self._("yesterday")
            case 1:
                return self._("tomorrow")
        return self.date(at, now)

    def date(self, at: datetime, now: datetime) -> str:
        """`11月22日` or `22 November`, with the year if it is not that of `now`."""
        this_year = self.local(at).year == self.local(now).year
        if self.language == "zh":
            pattern = "M月d日" if this_year else "y年M月d日"
        else:
            pattern = "d MMMM" if this_year else "d MMMM y"
        return format_date(self.local(at).date(), pattern, locale=self.language)

    def when(self, at: datetime, now: datetime) -> str:
        """Clock and day: `今天 15:08`, `15:08 today`, `11月22日 14:46`, `14:46, 22 November`."""
        if abs((self.local(at).date() - self.local(now).date()).days) <= 1:
            return self._("%(clock)s %(day)s", clock=self.clock(at), day=self.day(at, now))
        return self._("%(clock)s, %(date)s", clock=self.clock(at), date=self.date(at, now))

    def short(self, at: datetime, now: datetime) -> str:
        """The clock alone if it is today, else as `when`: for lists and timelines."""
        if self.local(at).date() == self.local(now).date():
            return self.clock(at)
        return self.when(at, now)

    def duration(self, length: timedelta | float) -> str:
        """A length of time (seconds, if a number) in at most two units: `1 小时 12 分钟`."""
        seconds = _seconds(length)
        if seconds < _MINUTE:
            return self._("under 1 min")
        if seconds < _HOUR:
            return self._minutes(int(seconds // _MINUTE))
        if seconds < _DAY:
            hours, rest = divmod(int(seconds // _MINUTE), 60)
            return self._pair(self._hours(hours), self._minutes(rest) if rest else "")
        days, rest = divmod(int(seconds // _HOUR), 24)
        return self._pair(self._days(days), self._hours(rest) if rest else "")

    def _pair(self, large: str, small: str) -> str:
        return f"{large} {small}" if small else large

    def _minutes(self, number: int) -> str:
        return self._("%(num)d min", num=number).replace(" ", NO_BREAK)

    def _hours(self, number: int) -> str:
        return self._("%(num)d h", num=number).replace(" ", NO_BREAK)

    def _days(self, number: int) -> str:
        words = str(self._translations.ungettext("%(num)d day", "%(num)d days", number))
        return (words % {"num": number}).replace(" ", NO_BREAK)

    def quantity(self, length: timedelta | float) -> tuple[str, str]:
        """A length of time as a figure and its unit, for tiles: `("9.2", "分钟")`.

        Seconds below a minute, minutes below two hours, hours below three days, then days.
        """
        seconds = _seconds(length)
        if seconds < _MINUTE:
            return self.number(seconds), self._("s")
        if seconds < 2 * _HOUR:
            return self.number(seconds / _MINUTE, 1), self._("min")
        if seconds < 3 * _DAY:
            return self.number(seconds / _HOUR, 1), self._("h")
        return self.number(seconds / _DAY, 1), self._("days")

    def due(
        self, deadline: datetime, now: datetime, soon: timedelta = timedelta(minutes=30)
    ) -> Due:
        """How a deadline stands at `now`; less than `soon` before it, it is soon."""
        left = deadline - now
        if left < timedelta(0):
            return Due("over", self._("%(duration)s late", duration=self.duration(-left)), deadline)
        kind: DueKind = "soon" if left < soon else "ok"
        if left < timedelta(days=1):
            return Due(kind, self._("%(duration)s left", duration=self.duration(left)), deadline)
        return Due(kind, self._("by %(time)s", time=self.when(deadline, now)), deadline)

    def number(self, value: float, digits: int = 0) -> str:
        """`3,418`, or with as many digits after the point as asked."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, pattern, locale=self.language)

    def percent(self, share: float, digits: int = 1) -> str:
        """A share of one as `92.3%`."""
        pattern = "0" + ("." + "0" * digits if digits else "") + "%"
        return format_percent(share, pattern, locale=self.language)

    def distance(self, metres: float) -> str:
        """`320 米` or `1.1 km`."""
        if metres < 1000:
            words = self._("%(number)s m", number=self.number(metres))
        else:
            number = format_decimal(metres / 1000, "#,##0.#", locale=self.language)
            words = self._("%(number)s km", number=number)
        return words.replace(" ", NO_BREAK)

    def own(self, thing: object, name: str = "") -> str:
        """What `thing` (mapping or object) holds in this language, else in the other.

        Its member `name_zh` or `name_en`; without `name`, its member `zh` or `en`.
        """
        prefix = f"{name}_" if name else ""
        order = ("zh", "en") if self.language == "zh" else ("en", "zh")
        texts = (_member(thing, prefix + language) for language in order)
        return str(next(filter(None, texts), ""))


def _member(thing: object, name: str) -> object:
    if isinstance(thing, dict):
        return thing.get(name)
    return getattr(thing, name, None)


def _seconds(length: timedelta | float) -> float:
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    return max(seconds, 0.0)
