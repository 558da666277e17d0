"""Reports with words and no position, through intake and dispatch, in a city with a gazetteer."""

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, CaseUnplaced
from lastmetre.common.contracts.topics import CASE_EVENTS, REPORTS
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support import books
from tests.support.city import City, inside
from tests.support.city.own import own_environment


def road(place_id: str, name: str, west: float, east: float) -> dict[str, Any]:
    """Along the middle of the squares."""
    line = {"type": "LineString", "coordinates": [[west, 0.5], [east, 0.5]]}
    held = {"place_id": place_id, "kind": "road", "name_zh": name}
    return {"type": "Feature", "properties": held, "geometry": line}


def house(road_id: str, number: int, east: float) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [east, 0.5]}
    held = {"kind": "house_number", "road": road_id, "number": number}
    return {"type": "Feature", "properties": held, "geometry": point}


GAZETTEER: Final = {
    "type": "FeatureCollection",
    "features": [
        road("r1", "振安东路", 0.99, 1.01), house("r1", 118, 1.005), house("r1", 2, 1.0001),
        road("r2", "人民路", 0.5, 0.501), road("r3", "人民路", 2.5, 2.501),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def town(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With that gazetteer."""
    folder = tmp_path_factory.mktemp("words")
    file = folder / "gazetteer.geojson"
    file.write_text(json.dumps(GAZETTEER), "utf-8")
    own = own_environment(stack) | {"INTAKE_GAZETTEER_FILE": str(file)}
    with Stack(folder / "home", environment=own) as running:
        yield running


async def events_of(city: City, case_id: UUID) -> list[CaseEvent]:
    """All of a case's events that are in the log."""
    written = [
        EVENT_TYPES[each.headers["ce_type"]].from_json(each.value)
        for each in await city.records(CASE_EVENTS)
    ]
    return sorted((e for e in written if e.case_id == case_id), key=lambda event: event.seq)


async def test_words_find_the_lead_or_candidates_for_the_centre(town_city: City) -> None:
    city = town_city
    await city.import_network()
    said = {
        "house": "振安东路118号门口", "border": "振安东路2号", "either": "人民路",
        "nowhere": "我家门口",
    }  # fmt: skip
    cases = {
        name: await city.new_case(f"{name}-{uuid4()}", position=None, address=address)
        for name, address in said.items()
    }
    ledgers = {name: await events_of(city, case_id) for name, case_id in cases.items()}
    outcomes = {
        name: (events[1].TYPE.split(".")[2], getattr(events[1], "reason", None))
        for name, events in ledgers.items()
    }
    assert outcomes == {
        "house": ("dispatched", None),
        "border": ("unplaced", "several_leads"),
        "either": ("unplaced", "no_position"),
        "nowhere": ("unplaced", "no_position"),
    }
    first = ledgers["house"][0]
    assert isinstance(first, CaseRegistered)
    assert first.place_in_words
    assert first.place_in_words.known
    assert (first.position, first.reported_accuracy_metres) == (
        first.place_in_words.known.position, 30,
    )  # fmt: skip
    border = ledgers["border"][1]
    assert isinstance(border, CaseUnplaced)
    assert set(border.area_ids) == {"A0", "A1"}
    either = ledgers["either"][0]
    assert isinstance(either, CaseRegistered)
    assert either.place_in_words
    named = {each.places[0].place_id for each in either.place_in_words.candidates}
    assert (either.place_in_words.not_known, named) == ("ambiguous", {"r2", "r3"})
    bodies = b"".join([record.value for record in await city.records(REPORTS)])
    assert "门口".encode() not in bodies, "the words stay in the vault"
    page = await city.http.get(
        city.url("dispatch", f"/cases/{cases['house']}"),
        headers=city.bearer(Role.OPERATOR) | {"Accept": "text/html", "Accept-Language": "en"},
        follow_redirects=True,
    )
    assert "found in its words" in page.text


async def test_the_books_balance_and_what_was_sent_wins(town: Stack, town_city: City) -> None:
    """A position that was sent is not looked for in the words."""
    city = town_city
    await city.import_network()
    case_id = await city.new_case(f"sent-{uuid4()}", position=inside(2), address="振安东路118号")
    first, second = (await events_of(city, case_id))[:2]
    assert isinstance(first, CaseRegistered)
    assert (first.place_in_words, second.TYPE.split(".")[2]) == (None, "dispatched")
    assert not await books.quiet(town.endpoints)
    balance = await books.balance(town.endpoints, town.home.outbox)
    assert [each.document() for each in balance if not each.balanced] == []
