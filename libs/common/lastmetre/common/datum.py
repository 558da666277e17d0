"""Positions sent in GCJ-02 or BD-09, brought to WGS-84. Arrays of degrees in, arrays out.

The shift that GCJ-02 applies is public only as this approximation; it is undone by fixed point,
since a one-step inverse is up to four metres off.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lastmetre.common.contracts.reports import Datum

Degrees = NDArray[np.float64]
Points = tuple[Degrees, Degrees]
"""Longitudes and latitudes."""

_SEMI_MAJOR_AXIS: Final = 6378245.0
_ECCENTRICITY_SQUARED: Final = 0.00669342162296594323
_BD_ANGLE: Final = np.pi * 3000.0 / 180.0
_BD_SHIFT: Final = (0.0065, 0.006)
_ROUNDS: Final = 12


def _outside_china(longitude: Degrees, latitude: Degrees) -> NDArray[np.bool_]:
    """Where GCJ-02 equals WGS-84: outside this box."""
    inside = (longitude >= 72.004) & (longitude <= 137.8347)
    return ~(inside & (latitude >= 0.8293) & (latitude <= 55.8271))


def _waves(longitude: Degrees, latitude: Degrees) -> Points:
    x, y = longitude - 105.0, latitude - 35.0
    root, product = np.sqrt(np.abs(x)), x * y
    common = 20.0 * np.sin(6.0 * np.pi * x) + 20.0 * np.sin(2.0 * np.pi * x)
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * product + 0.1 * root
    east += (common + 20.0 * np.sin(np.pi * x) + 40.0 * np.sin(np.pi * x / 3.0)) * 2.0 / 3.0
    east += (150.0 * np.sin(np.pi * x / 12.0) + 300.0 * np.sin(np.pi * x / 30.0)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * product + 0.2 * root
    north += (common + 20.0 * np.sin(np.pi * y) + 40.0 * np.sin(np.pi * y / 3.0)) * 2.0 / 3.0
    north += (160.0 * np.sin(np.pi * y / 12.0) + 320.0 * np.sin(np.pi * y / 30.0)) * 2.0 / 3.0
    return east, north


def wgs84_to_gcj02(longitude: Degrees, latitude: Degrees) -> Points:
    """GCJ-02 for points on WGS-84."""
    east, north = _waves(longitude, latitude)
    radians = np.radians(latitude)
    magic = 1.0 - _ECCENTRICITY_SQUARED * np.sin(radians) ** 2
    meridian = _SEMI_MAJOR_AXIS * (1.0 - _ECCENTRICITY_SQUARED) / (magic * np.sqrt(magic))
    parallel = _SEMI_MAJOR_AXIS / np.sqrt(magic) * np.cos(radians)
    outside = _outside_china(longitude, latitude)
    return (
        np.where(outside, longitude, longitude + np.degrees(east / parallel)),
        np.where(outside, latitude, latitude + np.degrees(north / meridian)),
    )


def gcj02_to_bd09(longitude: Degrees, latitude: Degrees) -> Points:
    """BD-09 for points on GCJ-02."""
    distance = np.hypot(longitude, latitude) + 0.00002 * np.sin(latitude * _BD_ANGLE)
    angle = np.arctan2(latitude, longitude) + 0.000003 * np.cos(longitude * _BD_ANGLE)
    return distance * np.cos(angle) + _BD_SHIFT[0], distance * np.sin(angle) + _BD_SHIFT[1]


def _undone(shift: Callable[[Degrees, Degrees], Points], sent: Points) -> Points:
    """The points that `shift` moves to `sent`, by fixed point: well under a millimetre."""
    longitude, latitude = sent
    for _ in range(_ROUNDS):
        shifted = shift(longitude, latitude)
        longitude = longitude + (sent[0] - shifted[0])
        latitude = latitude + (sent[1] - shifted[1])
    return longitude, latitude


def gcj02_to_wgs84(longitude: Degrees, latitude: Degrees) -> Points:
    """WGS-84 for points on GCJ-02."""
    outside = _outside_china(longitude, latitude)
    east, north = _undone(wgs84_to_gcj02, (longitude, latitude))
    return np.where(outside, longitude, east), np.where(outside, latitude, north)


def bd09_to_wgs84(longitude: Degrees, latitude: Degrees) -> Points:
    """WGS-84 for points on BD-09."""
    return gcj02_to_wgs84(*_undone(gcj02_to_bd09, (longitude, latitude)))


_TO_WGS84: Final = {Datum.GCJ02: gcj02_to_wgs84, Datum.BD09: bd09_to_wgs84}


def to_wgs84(datum: Datum, longitude: Degrees, latitude: Degrees) -> Points:
    """WGS-84 for points in `datum`."""
    convert = _TO_WGS84.get(datum)
    return convert(longitude, latitude) if convert else (longitude, latitude)
