"""A planned day in the sample city: who reports what, and what becomes of it.

Pure and seeded: the same city, day, time zone, seed and number give the same plan. Playing it is
somebody else's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from zoneinfo import ZoneInfo

import shapely

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import ReturnReason
from lastmetre.common.contracts.reports import SubmittedContact, SubmittedPosition
from lastmetre.common.contracts.requests import Action
from lastmetre.common.gazetteer.model import PlaceKind
from lastmetre.devstack.demo.city import Area, Lead, ReportText, SampleCity, Town
from lastmetre.devstack.demo.profile import ChannelProfile

# Degrees. A position keeps this far from its area's border, so that rounding cannot move it across.
MARGIN = 0.0003
BESIDE = 0.00008
"""Less than ten metres, from one who reports to the next."""
SEEN_AGAIN = timedelta(minutes=25)
AROUND = 0.02
NAMED_RIGHTLY = 0.8
"""Of the addresses: the others have a street that need not be in the area, as people mistake it."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """Something done about a case: by its lead, or by an operator where it is place or cancel.

    `after` counts from the step before; the first from when the case came to the lead or queue.
    """

    action: Action
    after: timedelta
    area_id: str | None = None
    return_reason: ReturnReason | None = None
    cancel_reason: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedRating:
    """The reporter's rating. `after` counts from the closing of the case; `score` is 1 to 5.

    `reopen`: he asks to have it taken up again.
    """

    solved: bool
    score: int
    reopen: bool
    after: timedelta


@dataclass(frozen=True, slots=True)
class PlannedReport:
    """A report and what is to become of it. `reported_at` is in UTC, positions are on WGS-84.

    `area_id` is the area meant, also where no position says so; None: outside the city.
    A case whose `steps` end before resolve or cancel stays open. `fixed_on_spot`: a patrol put it
    right at the moment it was found, its one step is the resolution, at that moment.
    """

    source_id: str
    channel: Channel
    sub_channel: str
    reported_at: datetime
    category: str
    text_id: str
    text: str
    address: str
    position: SubmittedPosition | None
    contact: SubmittedContact | None
    area_id: str | None
    fixed_on_spot: bool
    steps: tuple[PlannedStep, ...]
    rating: PlannedRating | None
    same_as: str | None = None
    """The source id of an earlier report of the same problem, whose case it is to join."""


@dataclass(frozen=True, slots=True)
class Day:
    """One local day's reports in the order of time."""

    day: date
    reports: tuple[PlannedReport, ...]


def make_day(
    city: SampleCity, day: date, time_zone: ZoneInfo, seed: int, reports: int = 2100
) -> Day:
    """Plan `reports` reports made on the local day `day`; the rest may reach into the next day."""
    return _Planner(city, day, time_zone, seed).day(reports)


Item = TypeVar("Item")


def _pick(chance: Random, weights: Mapping[Item, float]) -> Item:
    return chance.choices(list(weights), list(weights.values()))[0]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a report is about: an area (None: outside the city), words for it, a position."""

    area: Area | None
    street: str
    landmark: str
    address: str
    position: SubmittedPosition


def _named_in(inner: shapely.Geometry, city: SampleCity) -> Iterator[tuple[str, str]]:
    """Houses and landmarks of an area, each with the street it is at, as people write them."""
    for place in city.gazetteer.places:
        if place.kind is PlaceKind.LANDMARK and inner.contains(place.shape):
            yield place.name.zh, place.name.zh
        for house in place.numbers:
            if shapely.contains_xy(inner, house.longitude, house.latitude):
                yield place.name.zh, f"{place.name.zh}{house.number}号"


class _Planner:
    """The dice of one day, and what is looked up for every report."""

    def __init__(self, city: SampleCity, day: date, time_zone: ZoneInfo, seed: int) -> None:
        self._city = city
        self._profile = city.day
        self._date = day
        self._time_zone = time_zone
        self._chance = Random(f"{seed}/{day.isoformat()}")
        self._towns: dict[str, Town] = {town.town_id: town for town in city.places.towns}
        self._lead_of: dict[str, Lead] = {
            area_id: lead for lead in city.leads for area_id in lead.area_ids
        }
        self._texts = {
            channel: [text for text in city.texts if channel in text.channels]
            for channel in Channel
        }
        spread = city.day.leads.pace_spread
        self._pace = {
            lead.lead_id: Random(f"{seed}/{lead.lead_id}").lognormvariate(0, spread)
            for lead in city.leads
        }
        in_town = {
            town_id: [area for area in city.areas if area.town_id == town_id]
            for town_id in self._towns
        }
        self._in_town = in_town
        self._area_weights = {
            area.area_id: self._towns[area.town_id].reports / len(in_town[area.town_id])
            for area in city.areas
        }
        self._areas = {area.area_id: area for area in city.areas}
        outlines = {area.area_id: shapely.geometry.shape(area.outline) for area in city.areas}
        self._inner = {key: outline.buffer(-MARGIN) for key, outline in outlines.items()}
        whole = shapely.union_all(list(outlines.values()))
        self._beyond = whole.buffer(AROUND).difference(whole.buffer(MARGIN))
        shapely.prepare([*self._inner.values(), self._beyond])
        self._known = {key: list(_named_in(inner, city)) for key, inner in self._inner.items()}

    def day(self, reports: int) -> Day:
        """All reports in the order of time, numbered by it."""
        shares = {channel: each.share for channel, each in self._profile.channels.items()}
        channels = (_pick(self._chance, shares) for _ in range(reports))
        moments = sorted(
            ((self._moment(channel), channel) for channel in channels), key=lambda each: each[0]
        )
        planned = [self._report(number, *each) for number, each in enumerate(moments, start=1)]
        again = self._again(planned)
        return Day(self._date, tuple(sorted(planned + again, key=lambda each: each.reported_at)))

    def _again(self, planned: list[PlannedReport]) -> list[PlannedReport]:
        """The first problem that is left open all day is reported by somebody else as well."""
        first = next(
            each for each in planned
            if each.position and each.area_id and not each.steps and each.contact
        )  # fmt: skip
        assert first.position is not None
        assert first.position.latitude is not None
        beside = first.position.model_copy(
            update={"latitude": round(first.position.latitude + BESIDE, 6)}
        )
        again = replace(
            first,
            source_id=f"demo-{self._date:%Y%m%d}-{len(planned) + 1:05d}",
            channel=Channel.HOTLINE,
            sub_channel=_pick(self._chance, self._profile.channels[Channel.HOTLINE].sub_channels),
            reported_at=first.reported_at + SEEN_AGAIN,
            position=beside,
            contact=self._contact(self._profile.channels[Channel.HOTLINE]),
            same_as=first.source_id,
        )
        return [again]

    def _moment(self, channel: Channel) -> datetime:
        hourly = dict(enumerate(self._profile.channels[channel].hourly))
        hour = _pick(self._chance, hourly)
        second = self._chance.randrange(3600)
        local = datetime.combine(self._date, time(hour), self._time_zone)
        return (local + timedelta(seconds=second)).astimezone(UTC)

    def _report(self, number: int, moment: datetime, channel: Channel) -> PlannedReport:
        chance, profile = self._chance, self._profile.channels[channel]
        place = self._place()
        text = self._text(channel)
        contact = self._contact(profile)
        has_position = chance.random() >= profile.without_position
        fixed = bool(place.area and has_position) and chance.random() < profile.fixed_on_spot
        if fixed:
            steps: tuple[PlannedStep, ...] = (PlannedStep(Action.RESOLVE, timedelta()),)
        else:
            steps = tuple(self._steps(moment, place.area, has_position))
        return PlannedReport(
            source_id=f"demo-{self._date:%Y%m%d}-{number:05d}",
            channel=channel,
            sub_channel=_pick(chance, profile.sub_channels),
            reported_at=moment,
            category=self._category(text),
            text_id=text.text_id,
            text=text.filled_in(place.street, place.landmark),
            address=place.address,
            position=place.position if has_position else None,
            contact=contact,
            area_id=place.area.area_id if place.area else None,
            fixed_on_spot=fixed,
            steps=steps,
            rating=self._rating(steps, profile) if contact else None,
        )

    def _place(self) -> _Place:
        chance = self._chance
        area = self._areas[_pick(chance, self._area_weights)]
        town = self._towns[area.town_id]
        street, landmark = chance.choice(town.streets).zh, chance.choice(town.landmarks).zh
        if chance.random() < self._profile.outside_city:
            address = chance.choice(self._city.places.outside)
            return _Place(None, street, landmark, address, self._position(self._beyond))
        known = self._known[area.area_id]
        if known and chance.random() < NAMED_RIGHTLY:
            street, where = chance.choice(known)
            landmark = where
        else:
            where = f"{street}{chance.randint(1, 180)}号" if chance.random() < 0.6 else landmark
        address = f"{area.town_zh}{area.community_zh}{where}附近"
        return _Place(area, street, landmark, address, self._position(self._inner[area.area_id]))

    def _position(self, shape: shapely.Geometry) -> SubmittedPosition:
        """A point anywhere in `shape`, rounded as a phone sends it."""
        west, south, east, north = shape.bounds
        while True:
            longitude = round(self._chance.uniform(west, east), 6)
            latitude = round(self._chance.uniform(south, north), 6)
            if shapely.contains_xy(shape, longitude, latitude):
                return SubmittedPosition(latitude=latitude, longitude=longitude)

    def _text(self, channel: Channel) -> ReportText:
        fitting = self._texts[channel]
        return self._chance.choices(fitting, [text.weight for text in fitting])[0]

    def _category(self, text: ReportText) -> str:
        """The text's own category, or now and then one that does not fit."""
        if self._chance.random() >= self._profile.wrong_category:
            return text.category
        others = [each.code for each in self._city.categories if each.code != text.category]
        return self._chance.choice(others)

    def _contact(self, profile: ChannelProfile) -> SubmittedContact | None:
        chance, people = self._chance, self._city.people
        if chance.random() < profile.anonymous:
            return None
        number = chance.randrange(10_000)
        email = f"r{number:04d}@{people.email_domain}"
        return SubmittedContact(
            name=chance.choice(people.surnames) + chance.choice(people.given_names),
            phone=f"{people.phone_prefix}{number:04d}",
            email=email if chance.random() < profile.with_email else None,
        )

    def _steps(
        self, moment: datetime, area: Area | None, has_position: bool
    ) -> Iterator[PlannedStep]:
        centre, chance = self._profile.centre, self._chance
        placed = area is not None and has_position
        if not placed and chance.random() >= centre.worked_off:
            return
        if area is None:
            delay = centre.place.draw(chance)
            yield PlannedStep(Action.CANCEL, delay, cancel_reason="outside_city")
            return
        if not placed:
            delay = centre.place.draw(chance)
            yield PlannedStep(Action.PLACE, delay, area_id=area.area_id)
            moment += delay
        yield from self._lead_steps(moment, area, chance.random() < self._profile.leads.returned)

    def _lead_steps(self, moment: datetime, area: Area, returned: bool) -> Iterator[PlannedStep]:
        """What the lead does who has had the case since `moment`."""
        chance, leads = self._chance, self._profile.leads
        pace = self._pace[self._lead_of[area.area_id].lead_id]
        if chance.random() < leads.never_accepted:
            return
        if chance.random() < leads.slow:
            pace *= leads.slow_factor
        waited = self._until_on_duty(moment)
        if returned:
            delay = waited + leads.return_.draw(chance, pace)
            yield from self._return_steps(moment, delay, area)
            return
        yield PlannedStep(Action.ACCEPT, waited + leads.accept.draw(chance, pace))
        if chance.random() < leads.left_open:
            return
        if chance.random() >= leads.without_arrival:
            yield PlannedStep(Action.ARRIVE, leads.arrive.draw(chance, pace))
        yield PlannedStep(Action.RESOLVE, leads.resolve.draw(chance, pace))

    def _return_steps(
        self, moment: datetime, delay: timedelta, area: Area
    ) -> Iterator[PlannedStep]:
        """Given back; the command centre places it with a colleague in the town, or ends it."""
        chance, centre = self._chance, self._profile.centre
        reason = _pick(chance, self._profile.leads.return_reasons)
        yield PlannedStep(Action.RETURN, delay, return_reason=reason)
        if chance.random() >= centre.worked_off:
            return
        queued = centre.place.draw(chance)
        if reason == "not_found":
            yield PlannedStep(Action.CANCEL, queued, cancel_reason="not_found")
            return
        lead = self._lead_of[area.area_id]
        others = [
            each for each in self._in_town[area.town_id] if self._lead_of[each.area_id] != lead
        ]
        other = chance.choice(others or [area])
        yield PlannedStep(Action.PLACE, queued, area_id=other.area_id)
        yield from self._lead_steps(moment + delay + queued, other, returned=False)

    def _until_on_duty(self, moment: datetime) -> timedelta:
        """How long a case that came at `moment` waits for its lead's working hours."""
        leads = self._profile.leads
        local = moment.astimezone(self._time_zone)
        if leads.on_duty_from_hour <= local.hour < leads.on_duty_until_hour:
            return timedelta()
        if self._chance.random() < leads.taken_up_off_duty:
            return timedelta()
        days = 0 if local.hour < leads.on_duty_from_hour else 1
        start = datetime.combine(
            local.date() + timedelta(days), time(leads.on_duty_from_hour), self._time_zone
        )
        return start.astimezone(UTC) - moment

    def _rating(
        self, steps: tuple[PlannedStep, ...], profile: ChannelProfile
    ) -> PlannedRating | None:
        """How the reporter judges the case, if it is resolved and he cares to say."""
        chance, ratings = self._chance, self._profile.ratings
        resolved = bool(steps) and steps[-1].action == Action.RESOLVE
        if not resolved or chance.random() >= profile.rated:
            return None
        took = sum((step.after for step in steps), timedelta())
        speed = ratings.for_duration(took)
        score = _pick(chance, dict(enumerate(speed.scores, start=1)))
        solved = chance.random() < speed.solved
        reopen = not solved and chance.random() < ratings.reopened
        return PlannedRating(solved, score, reopen, ratings.after.draw(chance))
