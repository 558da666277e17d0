"""How a day goes in the sample city: the models of `day.yaml`.

Shares are between 0 and 1; weights are relative to each other; delays are in minutes.
"""

from datetime import timedelta
from random import Random
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lastmetre.common.contracts.base import Channel, Code
from lastmetre.common.contracts.cases import ReturnReason

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    """A part of the sample city's files: what is not known there is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Delay(Strict):
    """A lognormal time: half of them under `median` minutes, `spread` the logarithm's deviation."""

    median: float = Field(gt=0)
    spread: float = Field(ge=0)

    def draw(self, chance: Random, pace: float = 1.0) -> timedelta:
        """One such time, `pace` times as long as usual, in whole seconds."""
        minutes = self.median * pace * chance.lognormvariate(0, self.spread)
        return timedelta(seconds=round(minutes * 60))


class ChannelProfile(Strict):
    """What comes through one channel: how much, when (weight of each local hour), by whom."""

    share: Weight
    hourly: tuple[Weight, ...] = Field(min_length=24, max_length=24)
    sub_channels: dict[Code, Weight] = Field(min_length=1)
    without_position: Share
    anonymous: Share
    with_email: Share
    rated: Share
    fixed_on_spot: Share


class LeadProfile(Strict):
    """What leads do with their cases."""

    on_duty_from_hour: int = Field(ge=0, le=23)
    on_duty_until_hour: int = Field(ge=1, le=24)
    taken_up_off_duty: Share
    pace_spread: float = Field(ge=0)
    never_accepted: Share
    returned: Share
    left_open: Share
    slow: Share
    slow_factor: float = Field(ge=1)
    without_arrival: Share
    accept: Delay
    arrive: Delay
    resolve: Delay
    return_: Delay = Field(alias="return")
    return_reasons: dict[ReturnReason, Weight] = Field(min_length=1)

    @model_validator(mode="after")
    def _duty_has_a_length(self) -> Self:
        if self.on_duty_from_hour >= self.on_duty_until_hour:
            raise ValueError("on_duty_from_hour must be before on_duty_until_hour")
        return self


class CentreProfile(Strict):
    """What the command centre does with its queue."""

    worked_off: Share
    place: Delay


class SpeedRating(Strict):
    """How reporters judge a case resolved within so many minutes of the report; None: any."""

    within_minutes: float | None
    solved: Share
    scores: tuple[Weight, Weight, Weight, Weight, Weight]


class RatingProfile(Strict):
    """When reporters rate, and how, from the fastest cases to the slowest.

    `reopened`: of those who say that it is not solved, so many ask to have it taken up again.
    """

    after: Delay
    reopened: Share
    by_speed: tuple[SpeedRating, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        *bounded, last = [each.within_minutes for each in self.by_speed]
        bounds = [each for each in bounded if each is not None]
        if last is not None or len(bounds) != len(bounded) or bounds != sorted(bounds):
            raise ValueError("by_speed: bounds must rise, and only the last entry has none")
        return self

    def for_duration(self, took: timedelta) -> SpeedRating:
        """How a case that took so long from the report to its resolution is judged."""
        minutes = took.total_seconds() / 60
        return next(
            each
            for each in self.by_speed
            if each.within_minutes is None or minutes <= each.within_minutes
        )


class DayProfile(Strict):
    """All of `day.yaml`."""

    channels: dict[Channel, ChannelProfile]
    outside_city: Share
    wrong_category: Share
    leads: LeadProfile
    centre: CentreProfile
    ratings: RatingProfile
