"""Made-up areas, and points in them."""

from typing import Any, Final


def square(area_id: str, column: int, lead_id: str | None) -> dict[str, Any]:
    """An area one degree wide, `column` degrees east of Greenwich, just north of the equator."""
    corners = [(column, 0), (column + 1, 0), (column + 1, 1), (column, 1), (column, 0)]
    lead = lead_id and {
        "lead_id": lead_id,
        "name": {"zh": f"王{lead_id}", "en": f"Wang {lead_id}"},
        "post": {"zh": "片长", "en": "Area lead"},
    }
    return {
        "area_id": area_id,
        "name": {"zh": f"片区{area_id}", "en": f"Area {area_id}"},
        "outline": {"type": "Polygon", "coordinates": [corners]},
        "lead": lead or None,
    }


AREAS: Final = [
    square("A0", 0, "L0"),
    square("A1", 1, "L1"),
    square("A2", 2, "L2"),
    square("A3", 3, None),
]


def inside(column: int) -> dict[str, float]:
    """A point in the middle of a square."""
    return {"latitude": 0.5, "longitude": column + 0.5}
