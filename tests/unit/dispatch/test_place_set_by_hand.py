"""The command centre sets a case's place by hand (A13); no way leads to a rough one (B6)."""

from typing import Any

import pytest
from tests.unit.dispatch.staff_pages import LI as LEAD_OF_LIBRARY
from tests.unit.dispatch.staff_pages import OPERATOR as ZHOU
from tests.unit.dispatch.staff_pages import Vault, person, shown, steps
from tests.unit.dispatch.test_decide import (
    IN_EAST,
    LI,
    OPERATOR,
    RESOLVE,
    SUPERVISOR,
    after,
    ask,
    decided_on,
    registered,
)

from lastmetre.common.contracts.base import Actor, Position
from lastmetre.common.contracts.cases import CaseDispatched, CaseUnplaced, LocationChanged
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.domain.decision import Decision, Refusal
from lastmetre.dispatch.entrypoints.api import ActionBody

IN_WEST = Position(latitude=0.5, longitude=0.5)
QUEUED = registered().case
PLACED = registered(IN_EAST).case
CLOSED = after(PLACED, RESOLVE)


def change(actor: Actor = OPERATOR, **facts: Any) -> ActionRequested:
    asked = {
        "position": IN_WEST, "accuracy_metres": 50.0, "correction_reason": "said_by_reporter",
        "expected_seq": 2,
    }  # fmt: skip
    return ask(Action.CHANGE_LOCATION, actor, **(asked | facts))


@pytest.mark.parametrize("case", [QUEUED, PLACED])
def test_nobody_gets_a_case_because_its_place_is_set(case: Any) -> None:
    decision = decided_on(case, change())
    assert isinstance(decision, Decision)
    (event,) = decision.events
    assert isinstance(event, LocationChanged)
    assert (event.position, event.accuracy_metres, event.reason, event.actor) == (
        IN_WEST, 50, "said_by_reporter", OPERATOR,
    )  # fmt: skip
    assert decision.case == case._replace(position=IN_WEST, accuracy_metres=50, seq=3)


@pytest.mark.parametrize(
    ("case", "request_", "reason"),
    [
        (PLACED, change(LI), "not_allowed_for_role"),
        (PLACED, change(SUPERVISOR), "not_allowed_for_role"),
        (CLOSED, change(expected_seq=CLOSED.seq), "not_allowed_in_state"),
        (PLACED, change(expected_seq=None), "expected_seq_missing"),
        (PLACED, change(expected_seq=1), "case_has_moved_on"),
        (PLACED, change(position=None), "position_missing"),
        (PLACED, change(accuracy_metres=None), "accuracy_missing"),
        (PLACED, change(correction_reason=None), "reason_missing"),
        (after(PLACED, change()), change(expected_seq=3), "nothing_changes"),
    ],
)
def test_what_is_refused(case: Any, request_: ActionRequested, reason: str) -> None:
    assert decided_on(case, request_) == Refusal(reason)  # type: ignore[arg-type]


def body(**fields: object) -> ActionBody:
    return ActionBody.model_validate({"action": "change_location", **fields})


def test_coordinates_of_a_map_that_shifts_them_are_shifted_back() -> None:
    # The check vector of `unit/inputs/test_datum.py`.
    position = body(latitude=23.017977, longitude=113.756993, datum="gcj02").position
    assert position is not None
    assert (round(position.latitude, 5), round(position.longitude, 5)) == (23.0207, 113.7518)
    assert body(latitude=24.05, longitude=112.88).position == Position(
        latitude=24.05, longitude=112.88
    )
    assert body(latitude=24.05).position is None


NOWHERE = steps((CaseUnplaced, ZHOU, {"reason": "no_position"}))
SET = (
    LocationChanged, ZHOU,
    {"position": {"latitude": 0.5, "longitude": 0.5}, "accuracy_metres": 50,
     "reason": "said_by_reporter"},
)  # fmt: skip
FOUND = steps((CaseUnplaced, ZHOU, {"reason": "no_position"}), SET)


async def test_the_area_is_suggested_anew_and_the_operator_assigns() -> None:
    before = await shown("case.html", NOWHERE, person(Role.OPERATOR))
    assert "Set the place" in before
    assert "data-pick" in before, "the city's map can be pointed at"
    assert 'type="radio" name="area_id"' not in before
    page = await shown("case.html", FOUND, person(Role.OPERATOR))
    assert 'type="radio" name="area_id" value="A1" required checked' in page
    assert "Nothing is sent by itself after that. Please assign it." in page
    assert "The report names no spot on the map." not in page[page.index("why-box") :]
    said = "0.50000, 0.50000 · within 50\N{NO-BREAK SPACE}m · the reporter was asked"
    assert f'<p class="said">{said}</p>' in page


async def test_whoever_only_looks_is_offered_no_place_to_set() -> None:
    page = await shown("case.html", FOUND, person(Role.SUPERVISOR))
    assert 'value="change_location"' not in page
    assert "data-pick" not in page


TO_LI = {
    "area_id": "A1", "lead": LEAD_OF_LIBRARY, "matched_by": "operator", "network_version": 1,
}  # fmt: skip


@pytest.mark.parametrize(("metres", "led"), [(50, True), (200, False)])
async def test_no_way_leads_to_a_rough_place(metres: float, led: bool) -> None:
    rough = (SET[0], SET[1], {**SET[2], "accuracy_metres": metres})
    ledger = steps(rough, (CaseDispatched, ZHOU, TO_LI))
    page = await shown("case_for_lead.html", ledger, person(Role.LEAD, "li"))
    assert ("uri.amap.com" in page) is led
    assert ("The place is known only roughly, within 200\N{NO-BREAK SPACE}m" in page) is not led
    assert ("m-within" in page) is not led


async def test_while_nobody_can_tell_how_exact_it_is_no_way_leads_there() -> None:
    ledger = steps((CaseDispatched, ZHOU, TO_LI), position=IN_WEST)
    lead = person(Role.LEAD, "li")
    assert "uri.amap.com" in await shown("case_for_lead.html", ledger, lead)
    away = await shown("case_for_lead.html", ledger, lead, vault=Vault(away=True))
    assert "uri.amap.com" not in away
