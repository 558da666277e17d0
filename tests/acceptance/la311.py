"""What is true of the file of real requests, worked out from the file: csv, zoneinfo, geometry."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared" / "data" / "la311"
REQUESTS = DATA / "requests_2018-01.csv"
DISTRICTS = DATA / "council_districts.geojson"
MAPPING = CHECKOUT / "deploy" / "mappings" / "la311.yaml"
LEADS = CHECKOUT / "deploy" / "mappings" / "la311-leads.csv"
ZONE = ZoneInfo("America/Los_Angeles")

# As the data's README has it.
CHANNELS = {
    "Call": "hotline", "Voicemail": "hotline", "Fax": "hotline", "Email": "hotline",
    "Letter": "hotline", "Mobile App": "app", "Self Service": "app",
    "Driver Self Report": "patrol", "Council's Office": "patrol",
}  # fmt: skip


def local(text: str) -> datetime:
    """`01/31/2018 11:59:59 PM` in Los Angeles, taken apart by hand."""
    day, clock, half = text.split(" ")
    month, day_of_month, year = map(int, day.split("/"))
    hour, minute, second = map(int, clock.split(":"))
    hour = hour % 12 + (12 if half == "PM" else 0)
    return datetime(year, month, day_of_month, hour, minute, second, tzinfo=ZONE)


@dataclass(frozen=True)
class Request:
    """A row of the file. Instants are UTC; `district` is where the position lies, None: nowhere."""

    source_id: str
    channel: str
    kind: str
    status: str
    reported_at: datetime
    day: date
    ended_at: datetime
    seconds: float
    naive_seconds: float
    has_position: bool
    labelled: str
    district: str | None

    @property
    def closed(self) -> bool:
        return self.status == "Closed"

    @property
    def backwards(self) -> bool:
        """Closed before it was opened."""
        return self.closed and self.seconds < 0

    @property
    def on_spot(self) -> bool:
        """Found on patrol, and closed at the same second."""
        return self.closed and self.channel == "patrol" and self.seconds == 0


def requests() -> dict[str, Request]:
    """Every row by its id."""
    with REQUESTS.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row, district in zip(rows, _districts(rows), strict=True):
        opened, ended = local(row["CreatedDate"]), local(row["ClosedDate"])
        naive = ended.replace(tzinfo=None) - opened.replace(tzinfo=None)
        reported_at, ended_at = opened.astimezone(UTC), ended.astimezone(UTC)
        found[row["SRNumber"]] = Request(
            source_id=row["SRNumber"],
            channel=CHANNELS[row["RequestSource"]],
            kind=row["RequestType"],
            status=row["Status"],
            reported_at=reported_at,
            day=opened.date(),
            ended_at=ended_at,
            seconds=(ended_at - reported_at).total_seconds(),
            naive_seconds=naive.total_seconds(),
            has_position=bool(row["Latitude"]),
            labelled=row["CD"],
            district=district,
        )
    assert len(found) == len(rows)
    return found


def _districts(rows: Sequence[dict[str, str]]) -> list[str | None]:
    """The district around each position: how often a ray from it crosses the outline."""
    x = np.array([float(row["Longitude"] or "nan") for row in rows])
    y = np.array([float(row["Latitude"] or "nan") for row in rows])
    found: list[str | None] = [None] * len(rows)
    for feature in json.loads(DISTRICTS.read_text())["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            for index in np.flatnonzero(_inside(polygon, x, y)):
                assert found[index] is None  # no position lies in two districts
                found[index] = feature["properties"]["name"]
    return found


def _inside(
    rings: Sequence[Sequence[Sequence[float]]], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    odd = np.zeros(len(x), dtype=bool)
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if y1 != y2:
                crosses = (y1 > y) != (y2 > y)
                odd ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return odd


def quantile(values: Sequence[float], share: float) -> float:
    """Between the two nearest of the sorted values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def counted(values: Sequence[str | None]) -> dict[str | None, int]:
    """How often each is there."""
    return dict(Counter(values))
