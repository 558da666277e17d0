"""Which area a text means, by its words alone: texts of the sample city, labelled off its map.

Texts and labels were written before the finder was run on them; two labels that misread the map
were corrected after. What is mended is mended by the set `develop`; `count` is only counted.
"""

import csv
import json
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from lastmetre.common.contracts.cases import LocalName, PublishedLead
from lastmetre.common.gazetteer.file import read_gazetteer
from lastmetre.common.gazetteer.finding import LIMITS
from lastmetre.devstack.home import SAMPLE_CITY
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.intake.domain.places_in_words import PlacesInWords

RIGHT: Final = 0.95
RIGHT_IF_CLAIMED: Final = 0.99
NAME: Final = LocalName(zh="某", en="somebody")


class Labelled(NamedTuple):
    """A text; `area_id` is empty where nobody could tell from it."""

    text: str
    area_id: str


def labelled(of_set: str) -> list[Labelled]:
    path = Path(__file__).with_name("places_in_words.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == of_set]
    return [Labelled(row["text"], row["area_id"]) for row in rows]


def sample_network() -> Network:
    """The sample city's areas, each with its lead."""
    lead_of: dict[str, PublishedLead] = {}
    with (SAMPLE_CITY / "leads.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            who = PublishedLead(lead_id=row["lead_id"], name=NAME, post=NAME)
            lead_of |= dict.fromkeys(row["area_ids"].split(";"), who)
    document = json.loads((SAMPLE_CITY / "areas.geojson").read_text("utf-8"))
    return Network(
        1,
        [
            Area(area_id, NAME, None, each["geometry"], lead_of.get(area_id))
            for each in document["features"]
            for area_id in [each["properties"]["area_id"]]
        ],
    )


def claimed(texts: list[str]) -> list[str]:
    """The area that each would be dispatched by; empty where it goes to the centre."""
    places = PlacesInWords(read_gazetteer(SAMPLE_CITY / "gazetteer.geojson"), LIMITS)
    known = [found.known if found else None for found in places.of([(each, "") for each in texts])]
    who = sample_network().answering(
        [(k.position, k.accuracy_metres, None) if k else (None, None, None) for k in known]
    )
    return [each.area.area_id if each.area and not each.several else "" for each in who]


@pytest.mark.parametrize("of_set", ["develop", "count"])
def test_areas_from_words(of_set: str) -> None:
    texts = labelled(of_set)
    found = list(zip(texts, claimed([each.text for each in texts]), strict=True))
    right = [each.area_id == area_id for each, area_id in found]
    claims = [each.area_id == area_id for each, area_id in found if area_id]
    wrong = [f"{t.text}: {area_id or '-'}, not {t.area_id or '-'}" for t, area_id in found
             if area_id != t.area_id]  # fmt: skip
    print(
        f"{of_set}: {len(texts)} texts, {sum(right) / len(right):.1%} right;"
        f" {len(claims)} claimed, {sum(claims) / len(claims):.1%} of them right",
        *wrong,
        sep="\n  ",
    )
    assert sum(right) >= RIGHT * len(right)
    assert sum(claims) >= RIGHT_IF_CLAIMED * len(claims)
