"""GeoJSON that people hand in: the features of a file, and the datum that it is drawn on."""

import json
import re
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from lastmetre.common.contracts.reports import Datum
from lastmetre.common.datum import to_wgs84

_ON_WGS84: Final = re.compile(r"CRS84|EPSG:+(?:4326|4490)", re.IGNORECASE)
"""4490 is CGCS2000, centimetres from WGS-84."""
DECIMALS: Final = 7
"""A centimetre, in degrees."""


class BadGeoJson(ValueError):
    """Says what is wrong."""


def features_of(document: Any) -> list[Any]:
    """The features of a FeatureCollection in degrees, as they stand; raises BadGeoJson."""
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or not features:
        raise BadGeoJson("the file is not a GeoJSON FeatureCollection with features")
    if "crs" in document and not _ON_WGS84.search(json.dumps(document["crs"])):
        raise BadGeoJson(
            f"the file says that its coordinates are in {json.dumps(document['crs'])}: write it in"
            " WGS-84, for example by `ogr2ogr -t_srs EPSG:4326`"
        )
    return features


def on_wgs84(shape: Any, datum: Datum) -> Any:
    """A shape of shapely's that is drawn on `datum`, to the centimetre."""

    def shifted(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(to_wgs84(datum, points[:, 0], points[:, 1])).round(DECIMALS)

    return shape if datum is Datum.WGS84 else shapely.transform(shape, shifted)
