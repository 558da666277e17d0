"""A case's kind is corrected by the command centre (A30)."""

from typing import Any

import pytest
from tests.unit.dispatch.staff_pages import OPERATOR as ZHOU
from tests.unit.dispatch.staff_pages import person, shown, steps
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

from lastmetre.common.contracts.base import Actor
from lastmetre.common.contracts.cases import CategoryChanged
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.domain.decision import Decision, Refusal
from lastmetre.dispatch.domain.rules import unknown_category

PLACED = registered(IN_EAST).case
CLOSED = after(PLACED, RESOLVE)
CANCELLED = after(
    PLACED, ask(Action.CANCEL, OPERATOR, expected_seq=2, cancel_reason="not_a_problem")
)


def change(actor: Actor = OPERATOR, **facts: Any) -> ActionRequested:
    asked = {"category": "part:01002", "correction_reason": "seen_on_site", "expected_seq": 2}
    return ask(Action.CHANGE_CATEGORY, actor, **(asked | facts))


@pytest.mark.parametrize("case", [PLACED, registered().case, CLOSED])
def test_the_ledger_says_who_why_and_what_it_was(case: Any) -> None:
    request = change(expected_seq=case.seq)
    decision = decided_on(case, request)
    assert isinstance(decision, Decision)
    (event,) = decision.events
    assert isinstance(event, CategoryChanged)
    assert (event.category, event.previous_category) == ("part:01002", "matter:06010")
    assert (event.actor, event.reason, event.action_id) == (
        OPERATOR, "seen_on_site", request.action_id,
    )  # fmt: skip
    assert decision.case == case._replace(category="part:01002", seq=case.seq + 1)


@pytest.mark.parametrize(
    ("case", "request_", "reason"),
    [
        (PLACED, change(LI), "not_allowed_for_role"),
        (PLACED, change(SUPERVISOR), "not_allowed_for_role"),
        (CANCELLED, change(expected_seq=CANCELLED.seq), "not_allowed_in_state"),
        (PLACED, change(expected_seq=None), "expected_seq_missing"),
        (CLOSED, change(), "case_has_moved_on"),
        (PLACED, change(category=None), "category_missing"),
        (PLACED, change(category="matter:06010"), "nothing_changes"),
        (PLACED, change(correction_reason=None), "reason_missing"),
    ],
)
def test_what_is_refused(case: Any, request_: ActionRequested, reason: str) -> None:
    assert decided_on(case, request_) == Refusal(reason)  # type: ignore[arg-type]


def test_a_lead_who_acted_before_it_was_told_did_not_come_too_late() -> None:
    """A correction is no step of the case's."""
    corrected = after(PLACED, change())
    assert corrected.changed_at == PLACED.changed_at
    assert isinstance(decided_on(corrected, ask(Action.ACCEPT, LI)), Decision)


@pytest.mark.parametrize(
    ("category", "reason"),
    [("part:01002", None), ("part:99999", "category_unknown"), (None, None)],
)
def test_a_category_that_the_city_does_not_know(category: str | None, reason: str | None) -> None:
    assert unknown_category(change(category=category), {"part:01002"}) == reason


CORRECTED = steps(
    (CategoryChanged, ZHOU,
     {"category": "part:01002", "previous_category": "E06010", "reason": "said_in_report"}),
)  # fmt: skip


async def test_the_page_says_what_it_was_who_corrected_it_and_why() -> None:
    page = await shown("case.html", CORRECTED, person(Role.SUPERVISOR))
    assert '<p class="said">E06010 → part:01002 · the report itself says so</p>' in page
    assert "Operator zhou" in page
    assert 'value="change_category"' not in page


async def test_the_centre_is_offered_the_correction() -> None:
    page = await shown("case.html", CORRECTED, person(Role.OPERATOR))
    assert 'value="change_category"' in page
    lead = await shown("case_for_lead.html", CORRECTED, person(Role.LEAD, "li"))
    assert 'value="change_category"' not in lead
