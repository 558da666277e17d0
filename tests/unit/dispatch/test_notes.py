"""Staff note something on a case: the ledger says who and when, the vault keeps the words."""

from typing import Any
from uuid import UUID

import pytest
from tests.unit.dispatch.staff_pages import LEAD_LI, Vault, person, shown, steps
from tests.unit.dispatch.staff_pages import LI as LEAD_OF_LIBRARY
from tests.unit.dispatch.staff_pages import OPERATOR as ZHOU
from tests.unit.dispatch.test_decide import (
    IN_EAST,
    LI,
    OPERATOR,
    RESOLVE,
    SUPERVISOR,
    WANG,
    after,
    ask,
    decided_on,
    registered,
)

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.cases import CaseDispatched, CaseNoted, CaseReturned
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.domain.decision import Decision, Refusal
from lastmetre.dispatch.domain.rules import not_in_a_record

PLACED = registered(IN_EAST).case
CLOSED = after(PLACED, RESOLVE)


def note(actor: Actor, **facts: Any) -> ActionRequested:
    return ask(Action.NOTE, actor, **facts)


@pytest.mark.parametrize("actor", [LI, OPERATOR, SUPERVISOR])
@pytest.mark.parametrize("case", [PLACED, CLOSED])
def test_staff_note_on_a_case_in_any_state(case: Any, actor: Actor) -> None:
    request = note(actor)
    decision = decided_on(case, request)
    assert isinstance(decision, Decision)
    (event,) = decision.events
    assert isinstance(event, CaseNoted)
    assert (event.note_id, event.actor) == (request.action_id, actor)
    assert decision.case == case._replace(seq=case.seq + 1)


def test_the_event_holds_no_words() -> None:
    assert set(CaseNoted.model_fields) == {
        "case_id", "seq", "occurred_at", "recorded_at", "actor", "action_id", "action_source",
        "note_id",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (note(WANG), "not_your_case"),
        (note(Actor(role=ActorRole.RESIDENT)), "not_allowed_for_role"),
        (note(OPERATOR, expected_seq=1), "case_has_moved_on"),
    ],
)
def test_what_is_refused(request_: ActionRequested, reason: str) -> None:
    assert decided_on(PLACED, request_) == Refusal(reason)  # type: ignore[arg-type]


def test_a_record_cannot_bring_words() -> None:
    assert not_in_a_record(note(OPERATOR)) == "note_missing"
    assert not_in_a_record(RESOLVE) is None


TO_LI = {
    "area_id": "A1", "lead": LEAD_OF_LIBRARY, "matched_by": "operator", "network_version": 1,
}  # fmt: skip
STEPS: Any = (
    (CaseDispatched, ZHOU, TO_LI),
    (CaseNoted, ZHOU, {"note_id": UUID(int=7)}),
    (CaseNoted, LEAD_LI, {"note_id": UUID(int=9)}),
)
NOTED = steps(*STEPS)


@pytest.mark.parametrize(
    ("template", "who"),
    [
        ("case.html", person(Role.OPERATOR)),
        ("case.html", person(Role.SUPERVISOR)),
        ("case_for_lead.html", person(Role.LEAD, "li")),
    ],
)
async def test_staff_read_it_in_the_timeline_and_may_add_one(template: str, who: Any) -> None:
    page = await shown(template, NOTED, who)
    assert '<p class="said">已电话核实</p>' in page
    assert "The words are not kept any more" in page
    assert 'name="action" value="note"' in page
    away = await shown(template, NOTED, who, vault=Vault(away=True))
    assert "The words are not kept any more" not in away


async def test_a_lead_who_gave_the_case_back_reads_no_notes() -> None:
    """As with the contact, which they may hold."""
    over = steps(*STEPS, (CaseReturned, LEAD_LI, {"lead_id": "li", "reason": "not_found"}))
    page = await shown("case_for_lead.html", over, person(Role.LEAD, "li"))
    assert "Shown to whoever deals with the case" in page
    assert "已电话核实" not in page
