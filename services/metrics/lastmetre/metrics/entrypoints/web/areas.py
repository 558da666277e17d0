"""The map of areas, its legend, and the list beside it with the same figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from markupsafe import Markup

from lastmetre.common.web.svg.maps import Fill, Look
from lastmetre.metrics.entrypoints.web.reader import Reader

BINS: Final[tuple[Fill, ...]] = ("q1", "q2", "q3", "q4", "q5")
LISTED: Final = 8
NUMBERED: Final = 5
"""So many of the listed areas have their number on the map."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Five bins of `step` numbers each, the first one beginning at `lowest`."""

    lowest: int
    step: int

    @classmethod
    def over(cls, counts: Sequence[int]) -> "Scale":
        """The scale that just holds these counts."""
        lowest, highest = min(counts, default=0), max(counts, default=0)
        return cls(lowest, -(-(highest - lowest + 1) // len(BINS)))

    def fill(self, count: int) -> Fill:
        """The colour of a count."""
        return BINS[(count - self.lowest) // self.step]

    def bins(self) -> list[tuple[Fill, str]]:
        """Each colour with the numbers it stands for."""
        words = []
        for place, fill in enumerate(BINS):
            low = self.lowest + place * self.step
            high = low + self.step - 1
            words.append((fill, str(low) if low == high else f"{low}–{high}"))
        return words


@dataclass(frozen=True, slots=True)
class AreaRow:
    """An area in the list. `fill` is its colour on the map, `number` its disc there, if any."""

    name: str
    fill: Fill
    open: int
    cases: int
    number: str = ""


class Areas(Reader):
    """Open cases by area, as of now: a count needs no minimum of cases."""

    def context(self) -> dict[str, Any]:
        """What the template shows."""
        counts = self._f.by_area
        names = {
            area_id: self._w.own(dict(area), "name")
            for area_id, area in self._f.network.areas.items()
        }
        opened = {area_id: counts[area_id]["open"] if area_id in counts else 0 for area_id in names}
        scale = Scale.over(list(opened.values()))
        rows = _numbered(
            {
                area_id: AreaRow(
                    name,
                    scale.fill(opened[area_id]),
                    opened[area_id],
                    counts[area_id]["cases"] if area_id in counts else 0,
                )
                for area_id, name in names.items()
            }
        )
        listed = list(rows.values())
        return {
            "map": self._map(rows),
            "legend": self._legend(scale),
            "area_rows": listed[:LISTED],
            "more_area_rows": listed[LISTED:],
        }

    def _map(self, rows: Mapping[str, AreaRow]) -> Markup | None:
        drawn = self._f.network.map
        if drawn is None:
            return None
        return drawn.draw(
            self._("Map of the areas, coloured by open cases; the list has the same figures"),
            Look(
                fills={area_id: row.fill for area_id, row in rows.items()},
                names={area_id: row.name for area_id, row in rows.items()},
                numbers={area_id: row.number for area_id, row in rows.items() if row.number},
                tips={area_id: f"{row.name}: {self._tip(row)}" for area_id, row in rows.items()},
            ),
        )

    def _tip(self, row: AreaRow) -> str:
        return self.ngettext("%(num)s open", "%(num)s open", row.open)

    def _legend(self, scale: Scale) -> list[tuple[Fill, str, str]]:
        ends = [self._("fewest open"), "", "", "", self._("most open")]
        return [(*bin_, end) for bin_, end in zip(scale.bins(), ends, strict=True)]


def _numbered(rows: Mapping[str, AreaRow]) -> dict[str, AreaRow]:
    """Those with the most open cases first, and the first few of them numbered."""
    order = sorted(rows.items(), key=lambda item: (-item[1].open, -item[1].cases, item[1].name))
    return {
        area_id: replace(row, number=str(place)) if place <= NUMBERED and row.open else row
        for place, (area_id, row) in enumerate(order, start=1)
    }
