"""A report lands in the same area whatever datum its position was sent in (DOMAIN.md, Positions).

The shift comes from `prcoords`, not from the code under test.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import prcoords
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from lastmetre.common.categories import Categories
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.reports import Datum, ReportSubmitted, SubmittedPosition
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Sent, normalise

NOW = datetime(2026, 11, 30, tzinfo=UTC)
CITY = Path(__file__).parents[3] / "deploy" / "sample-city" / "areas.geojson"
FEATURES: Final = json.loads(CITY.read_text("utf-8"))["features"]
OUTLINES: Final = [shapely.from_geojson(json.dumps(each["geometry"])) for each in FEATURES]
NETWORK: Final = Network(
    1,
    [
        Area(
            each["properties"]["area_id"],
            LocalName(zh="片", en="Area"),
            None,
            each["geometry"],
            None,
        )
        for each in FEATURES
    ],
)
CODES, CHECK = CategoryCodes(Categories()), ContactCheck("CN")
A_CENTIMETRE: Final = 1e-7


@given(st.sampled_from(OUTLINES), st.floats(0, 1), st.floats(0, 1))
def test_the_same_spot_in_each_datum_is_in_the_same_area(
    outline: shapely.Geometry, east: float, north: float
) -> None:
    min_x, min_y, max_x, max_y = outline.bounds
    spot = Position(
        latitude=min_y + north * (max_y - min_y), longitude=min_x + east * (max_x - min_x)
    )
    point = shapely.Point(spot.longitude, spot.latitude)
    assume(all(shapely.distance(each.boundary, point) > A_CENTIMETRE for each in OUTLINES))
    gcj = prcoords.wgs_gcj(prcoords.Coords(spot.latitude, spot.longitude))
    bd = prcoords.gcj_bd(gcj)
    sent = [
        SubmittedPosition(latitude=spot.latitude, longitude=spot.longitude),
        SubmittedPosition(latitude=gcj.lat, longitude=gcj.lon, datum=Datum.GCJ02),
        SubmittedPosition(latitude=bd.lat, longitude=bd.lon, datum=Datum.BD09),
    ]
    reports = [ReportSubmitted(source_id="1", text="x", position=position) for position in sent]
    made = normalise([Sent("app", report, NOW) for report in reports], CODES, CHECK)
    here, *others = NETWORK.locate([each.position for each in made])
    assert [here] == NETWORK.locate([spot])
    assert others == [here, here]
