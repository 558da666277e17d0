"""GCJ-02 and BD-09 against a check vector from elsewhere, the oracle `prcoords`, and themselves."""

import numpy as np
import prcoords
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.reports import Datum
from lastmetre.common.datum import bd09_to_wgs84, gcj02_to_bd09, gcj02_to_wgs84, to_wgs84
from lastmetre.common.datum import wgs84_to_gcj02 as shift

METRES_PER_DEGREE = 111_195.0
ALL_OF_CHINA = (st.floats(73.6, 134.7), st.floats(18.2, 53.5))
inland_longitudes = st.floats(100, 120)
inland_latitudes = st.floats(23, 40)


def one(longitude: float, latitude: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([longitude]), np.array([latitude])


def test_check_vector() -> None:
    gcj = shift(*one(113.7518, 23.0207))
    assert (round(gcj[0][0], 6), round(gcj[1][0], 6)) == (113.756993, 23.017977)
    bd = gcj02_to_bd09(*gcj)
    assert (round(bd[0][0], 6), round(bd[1][0], 6)) == (113.763407, 23.024311)


@given(inland_longitudes, inland_latitudes)
def test_as_the_oracle_says(longitude: float, latitude: float) -> None:
    oracle = prcoords.wgs_gcj(prcoords.Coords(latitude, longitude), check_china=True)
    found = shift(*one(longitude, latitude))
    assert abs(found[0][0] - oracle.lon) < 1e-9
    assert abs(found[1][0] - oracle.lat) < 1e-9


@given(*ALL_OF_CHINA)
def test_inverses_are_exact_to_a_millimetre(longitude: float, latitude: float) -> None:
    gcj = shift(*one(longitude, latitude))
    for back in (gcj02_to_wgs84(*gcj), bd09_to_wgs84(*gcj02_to_bd09(*gcj))):
        assert abs(back[0][0] - longitude) * METRES_PER_DEGREE < 0.001
        assert abs(back[1][0] - latitude) * METRES_PER_DEGREE < 0.001


@pytest.mark.parametrize("place", [(-118.24, 34.05), (2.35, 48.85), (151.2, -33.87)])
def test_outside_china_gcj_is_wgs(place: tuple[float, float]) -> None:
    longitude, latitude = to_wgs84(Datum.GCJ02, *one(*place))
    assert (longitude[0], latitude[0]) == place


def test_wrong_datum_moves_a_point_by_hundreds_of_metres() -> None:
    longitude, latitude = gcj02_to_wgs84(*one(113.7518, 23.0207))
    east = (113.7518 - longitude[0]) * METRES_PER_DEGREE * np.cos(np.radians(23.02))
    north = (23.0207 - latitude[0]) * METRES_PER_DEGREE
    assert 580 < np.hypot(east, north) < 640
