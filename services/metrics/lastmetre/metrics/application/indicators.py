"""Puts the figures together: one consistent look at the database, groups keyed alike."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from lastmetre.metrics.adapters.postgres import figures, report_and_message_counts
from lastmetre.metrics.domain import statistics
from lastmetre.metrics.domain.indicators import (
    QUANTILES,
    STAGES,
    Dimension,
    Excluded,
    FixedOnSpot,
    Selection,
    Stage,
)
from lastmetre.metrics.domain.statistics import Estimate

if TYPE_CHECKING:
    from lastmetre.common.service.host import ServiceHost

Key = tuple[Any, ...]
Counts = dict[str, int]


@dataclass(slots=True)
class Cases:
    """How many cases there are, and how they stand. Reasons are those cases carry now."""

    registered: int = 0
    matched: int = 0
    open: int = 0
    returned: int = 0
    returns: int = 0
    reopened: int = 0
    reopenings: int = 0
    closed_before_reported: int = 0
    fixed_on_spot: int = 0
    merged_reports: int = 0
    """Reports that have joined these cases, besides the one that each was registered for."""
    states: Counts = field(default_factory=lambda: defaultdict(int))
    cancelled: Counts = field(default_factory=lambda: defaultdict(int))
    waiting: Counts = field(default_factory=lambda: defaultdict(int))
    """In the command centre's queue now, by reason."""
    ended_unplaced: Counts = field(default_factory=lambda: defaultdict(int))
    """Closed or cancelled from that queue, by the reason for which they were in it."""
    by_channel: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By channel and state."""

    def add(self, row: asyncpg.Record) -> None:
        """Count cases that have all of this in common."""
        cases: int = row["cases"]
        state, unplaced = row["state"], row["unplaced_reason"]
        self.registered += cases
        for name in ("matched", "open", "returned", "returns", "reopened", "reopenings",
                     "closed_before_reported", "fixed_on_spot", "merged_reports"):  # fmt: skip
            setattr(self, name, getattr(self, name) + row[name])
        self.states[state] += cases
        self.by_channel[row["in_channel"], state] += cases
        if row["cancel_reason"] is not None:
            self.cancelled[row["cancel_reason"]] += cases
        if unplaced is not None:
            queue = self.waiting if state == "unplaced" else self.ended_unplaced
            queue[unplaced] += cases


@dataclass(slots=True)
class Reports:
    """How many reports came, by channel and by what intake made of them."""

    accepted: Counts = field(default_factory=lambda: defaultdict(int))
    rejected: Counts = field(default_factory=lambda: defaultdict(int))
    reasons: Counts = field(default_factory=lambda: defaultdict(int))
    """Of rejection; a report may have several."""

    def add(self, row: asyncpg.Record) -> None:
        """Count reports that have all of this in common."""
        into = self.accepted if row["accepted"] else self.rejected
        into[row["in_channel"]] += row["reports"]
        for reason in row["reasons"]:
            self.reasons[reason] += row["reports"]


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """A stage's response times in seconds; None is no data. `excluded` and `n` are all cases."""

    stage: Stage
    n: int
    quantiles: Mapping[float, float] | None
    mean: float | None
    excluded: Mapping[Excluded, int]


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """What reporters said, the last answer of each case. None is no data."""

    answers: int
    closed: int
    solved: Estimate | None
    satisfied: Estimate | None
    score: Estimate | None


@dataclass(slots=True)
class Group:
    """The figures of the cases that share `key`. `reports` is None where they have no such key."""

    key: Key
    cases: Cases = field(default_factory=Cases)
    reports: Reports | None = None
    response_times: list[ResponseTime] = field(default_factory=list)
    satisfaction: Satisfaction | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """How many messages came to the same end."""

    recipient: str
    provider: str
    result: str
    messages: int


@dataclass(frozen=True, slots=True)
class Indicators:
    """All figures of a selection, as of one moment."""

    selection: Selection
    by: Sequence[Dimension]
    groups: list[Group]
    messages: list[Message]
    names: Mapping[Dimension, Mapping[str, Mapping[str, str]]]
    """What areas and leads are called, in both languages."""
    as_of: datetime


class WorkOutIndicators:
    """Reads only, all from one snapshot of the database."""

    def __init__(self, host: "ServiceHost") -> None:
        self._host = host

    async def __call__(self, selection: Selection, by: Sequence[Dimension]) -> Indicators:
        """The figures of the selected cases, grouped."""
        now = self._host.clock.now()
        async with figures.snapshot(self._host.pool) as connection:
            groups: dict[Key, Group] = {}
            if not by:
                groups[()] = Group(())
            for row in await figures.count_cases(connection, selection, by):
                _group(groups, by, row).cases.add(row)
            for row in await figures.response_times(connection, selection, by):
                _group(groups, by, row).response_times = list(_response_times(selection, row))
            for row in await figures.satisfaction(connection, selection, by):
                _group(groups, by, row).satisfaction = _satisfaction(row)
            if set(by) <= figures.REPORT_DIMENSIONS:
                for group in groups.values():
                    group.reports = Reports()
                for row in await figures.count_reports(connection, selection, by):
                    group = _group(groups, by, row)
                    group.reports = group.reports or Reports()
                    group.reports.add(row)
            found = await figures.count_messages(connection, selection)
            names = _names(by, await report_and_message_counts.areas(connection))
        ordered = sorted(groups.values(), key=lambda group: tuple(map(_sortable, group.key)))
        return Indicators(selection, by, ordered, [Message(*row) for row in found], names, now)


def _sortable(value: Any) -> tuple[bool, str]:
    """What has no key comes last."""
    return value is None, str(value)


def _group(groups: dict[Key, Group], by: Sequence[Dimension], row: asyncpg.Record) -> Group:
    key = tuple(row[each.value] for each in by)
    return groups.setdefault(key, Group(key))


def _response_times(selection: Selection, row: asyncpg.Record) -> Iterable[ResponseTime]:
    left_out = {Excluded.CLOSED_BEFORE_REPORTED: row["closed_before_reported"]}
    if selection.fixed_on_spot is FixedOnSpot.WITHOUT:
        left_out[Excluded.FIXED_ON_SPOT] = row["fixed_on_spot"]
    elif selection.fixed_on_spot is FixedOnSpot.ONLY:
        left_out[Excluded.NOT_FIXED_ON_SPOT] = (
            row["cases"] - row["closed_before_reported"] - row["fixed_on_spot"]
        )
    for number, stage in enumerate(STAGES):
        n = row[f"n_{number}"]
        values = row[f"quantiles_{number}"]
        excluded = left_out | {Excluded.OUT_OF_ORDER: row[f"out_of_order_{number}"]}
        excluded[Excluded.NOT_RECORDED] = row["cases"] - n - sum(excluded.values())
        yield ResponseTime(
            stage,
            n,
            dict(zip(QUANTILES, values, strict=True)) if values else None,
            row[f"mean_{number}"],
            excluded,
        )


def _satisfaction(row: asyncpg.Record) -> Satisfaction:
    answers = row["answers"]
    return Satisfaction(
        answers,
        row["closed"],
        statistics.rate(row["solved"], answers),
        statistics.rate(row["satisfied"], answers),
        statistics.mean(answers, row["total"] or 0, row["squares"] or 0, (1, 5)),
    )


def _names(
    by: Sequence[Dimension], areas: Iterable[asyncpg.Record]
) -> dict[Dimension, dict[str, dict[str, str]]]:
    names: dict[Dimension, dict[str, dict[str, str]]] = {
        each: {} for each in by if each in (Dimension.AREA, Dimension.LEAD)
    }
    for area in areas:
        if Dimension.AREA in names:
            names[Dimension.AREA][area["area_id"]] = {"zh": area["name_zh"], "en": area["name_en"]}
        if Dimension.LEAD in names and area["lead_id"] is not None:
            names[Dimension.LEAD][area["lead_id"]] = {
                "zh": area["lead_name_zh"],
                "en": area["lead_name_en"],
            }
    return names
