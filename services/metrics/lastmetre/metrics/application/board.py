"""The board's figures: looked up together, kept for a moment, shared by everyone who looks."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import asyncpg
from pydantic_core import from_json

from lastmetre.common.web.svg.maps import AreaMap
from lastmetre.metrics.adapters.postgres import board, facts, report_and_message_counts
from lastmetre.metrics.adapters.postgres.figures import snapshot
from lastmetre.metrics.domain import statistics
from lastmetre.metrics.domain.curves import Curve, Median
from lastmetre.metrics.domain.indicators import FIRST_RESPONSE, RESOLUTION, Stage
from lastmetre.metrics.domain.periods import Period, PeriodName, period_of
from lastmetre.metrics.domain.statistics import Estimate

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection
    from lastmetre.common.service.host import ServiceHost

Row = asyncpg.Record
"""What PostgreSQL has counted, by the names of its columns."""
KEPT_SECONDS: Final = 1.5
REST_FACTOR: Final = 10
"""Figures that took long are kept ten times as long, so that looking costs a tenth of a core."""
ACTIVITY_SHOWN: Final = 16
MAP_SIZE: Final = (420, 330)


@dataclass(frozen=True, slots=True)
class Network:
    """The areas with their names, and the map, drawn up once for each state of the network."""

    state: str
    areas: Mapping[str, Row]
    map: AreaMap | None


@dataclass(frozen=True)
class Figures:
    """Everything on the board, as of `now`. None is no data."""

    now: datetime
    period: Period
    stage: Stage
    summary: Row
    curve: Curve | None
    curve_before: Curve | None
    first_response: Curve | None
    first_response_before: Median | None
    resolution_median: Median | None
    resolved: Estimate | None
    score: Estimate | None
    solved: Estimate | None
    fixed_on_spot: Estimate | None
    hourly: Sequence[Row]
    by_area: Mapping[str, Row]
    open_now: Sequence[Row]
    reports: Sequence[Row]
    valid: Estimate | None
    """What share of the period's reports was accepted."""
    recent_activity: Sequence[Row]
    network: Network

    @cached_property
    def version(self) -> str:
        """Another one as soon as anything but the time is another, and each quarter of an hour:
        at midnight a time of day becomes one of yesterday. Every process works out the same."""
        quarter = int(self.now.timestamp()) // 900
        figures = {
            each.name: _in_order(getattr(self, each.name))
            for each in fields(self)
            if each.name not in ("now", "network")
        }
        return sha256(repr((quarter, figures, self.network.state)).encode()).hexdigest()[:16]


def _in_order(value: object) -> object:
    """Rows in an order of their own: PostgreSQL gives them in any."""
    if isinstance(value, Mapping):
        return sorted(map(repr, value.items()))
    return sorted(map(repr, value)) if isinstance(value, list) else value


Choice = tuple[PeriodName | None, date | None, str]


class Board:
    """Figures for the board. Viewers who ask at the same time share one look at the database."""

    def __init__(self, host: "ServiceHost", zone: ZoneInfo) -> None:
        self._host = host
        self._zone = zone
        self._kept: dict[Choice, tuple[float, Figures]] = {}
        self._locks: dict[Choice, asyncio.Lock] = {}
        self._network: Network | None = None

    async def figures(self, name: PeriodName | None, day: date | None, stage: Stage) -> Figures:
        """The figures of the period asked for, at most a moment old."""
        choice = (name, day, stage.name)
        async with self._locks.setdefault(choice, asyncio.Lock()):
            kept_until, figures = self._kept.get(choice, (0.0, None))
            started = time.monotonic()
            if figures is None or started > kept_until:
                figures = await self._look(name, day, stage)
                took = time.monotonic() - started
                self._forget(started)
                self._kept[choice] = (
                    started + took + max(KEPT_SECONDS, REST_FACTOR * took),
                    figures,
                )
            return figures

    def _forget(self, now: float) -> None:
        """Drop what has expired: dates can be asked for without end."""
        for choice in [each for each, (until, _) in self._kept.items() if until < now]:
            del self._kept[choice]
            if not self._locks[choice].locked():
                del self._locks[choice]

    async def _look(self, name: PeriodName | None, day: date | None, stage: Stage) -> Figures:
        now = self._host.clock.now()
        async with snapshot(self._host.pool) as connection:
            period = period_of(
                name, day, now.astimezone(self._zone).date(), await board.newest_day(connection)
            )
            summary = await board.summary(connection, period)
            reports = await board.reports(connection, period)
            before = period.before
            curves = {each.name: await board.curve(connection, period, each)
                      for each in {FIRST_RESPONSE, stage}}  # fmt: skip
            return Figures(
                now=now,
                period=period,
                stage=stage,
                summary=summary,
                curve=curves[stage.name],
                curve_before=await board.curve(connection, before, stage) if before else None,
                first_response=curves[FIRST_RESPONSE.name],
                first_response_before=(
                    await board.median(connection, before, FIRST_RESPONSE) if before else None
                ),
                resolution_median=await board.median(connection, period, RESOLUTION),
                resolved=statistics.rate(
                    summary["resolved"], summary["cases"] - summary["cancelled"]
                ),
                score=statistics.mean(
                    summary["answers"], summary["total"], summary["squares"], (1, 5)
                ),
                solved=statistics.rate(summary["solved"], summary["answers"]),
                fixed_on_spot=statistics.rate(summary["fixed_on_spot"], summary["patrol"]),
                hourly=await board.hourly(connection, period, self._zone.key),
                by_area={row["area_id"]: row for row in await board.by_area(connection, period)},
                open_now=await board.open_now(connection),
                reports=reports,
                valid=statistics.rate(
                    sum(row["reports"] for row in reports if row["accepted"]),
                    sum(row["reports"] for row in reports),
                ),
                recent_activity=await facts.recent_activity(connection, ACTIVITY_SHOWN),
                network=await self._current_network(connection),
            )

    async def _current_network(self, connection: "Connection") -> Network:
        """The network as published; its map is worked out anew only when an area changes."""
        state = await report_and_message_counts.network_state(connection)
        if self._network is None or self._network.state != state:
            rows = {
                row["area_id"]: row for row in await report_and_message_counts.areas(connection)
            }
            outlines = await report_and_message_counts.outlines(connection)
            geometries: dict[str, Any] = {
                row["area_id"]: from_json(row["outline"]) for row in outlines
            }
            drawn = AreaMap.fit(geometries, *MAP_SIZE) if geometries else None
            self._network = Network(state, rows, drawn)
        return self._network
