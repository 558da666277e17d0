"""A case tells what was said at each step, and each role what is its to see (B1, B7, A16)."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from tests.unit.dispatch.staff_pages import (
    LEAD_LI,
    LI,
    NOW,
    OPERATOR,
    RESIDENT,
    Vault,
    case_after,
    person,
    shown,
    steps,
)

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.contracts.cases import (
    CaseCancelled,
    CaseClosed,
    CaseDispatched,
    CaseRated,
    CaseReassigned,
    CaseResolved,
    CaseReturned,
    CaseUnplaced,
    LocalName,
    PublishedLead,
)
from lastmetre.common.contracts.deliveries import Recipient
from lastmetre.common.contracts.vault import ReportAddition, ReportText
from lastmetre.common.security.callers import Person, Role
from lastmetre.dispatch.application.who_may_see import may_see, may_see_contact
from lastmetre.dispatch.domain.ledger import Step

TO_LI = {"area_id": "A1", "lead": LI, "matched_by": "operator", "network_version": 1}
WU = PublishedLead(lead_id="wu", name=LocalName(zh="吴", en="Wu"), post=LI.post)
DISPATCHED = steps((CaseDispatched, OPERATOR, TO_LI))
CLOSED = steps(
    (CaseDispatched, OPERATOR, TO_LI),
    (CaseResolved, LEAD_LI, {}),
    (CaseClosed, LEAD_LI, {}),
    (CaseRated, RESIDENT,
     {"feedback_id": "00000000-0000-0000-0000-000000000009", "closing": 4, "solved": False,
      "score": 2}),
)  # fmt: skip


async def test_why_it_was_given_back_and_to_whom_it_had_gone() -> None:
    page = await shown(
        "case.html",
        steps(
            (CaseDispatched, OPERATOR, TO_LI),
            (CaseReturned, LEAD_LI, {"lead_id": "li", "reason": "needs_other_unit"}),
            (CaseUnplaced, LEAD_LI, {"reason": "returned"}),
        ),
        person(Role.OPERATOR),
    )
    timeline = page[page.index('class="tl"') :]
    assert '<p class="said">Needs another unit</p>' in timeline
    assert '<p class="said">Li Min · Library area</p>' in timeline
    assert "Operator zhou" in timeline


async def test_why_it_was_cancelled() -> None:
    cancelled = steps((CaseCancelled, OPERATOR, {"reason": "not_for_the_city"}))
    page = await shown("case.html", cancelled, person(Role.SUPERVISOR))
    assert '<p class="said">Another authority answers for it</p>' in page


async def test_what_the_reporter_said() -> None:
    page = await shown("case.html", CLOSED, person(Role.SUPERVISOR))
    assert '<p class="said">2 stars of 5 · says it is not solved</p>' in page


async def test_an_entry_without_its_body_is_shown_as_far_as_it_is_known() -> None:
    old = [*DISPATCHED[:1], DISPATCHED[1]._replace(event=None)]
    assert may_see(old, person(Role.OPERATOR))
    assert not may_see(old, person(Role.LEAD, "li"))


async def test_a_message_is_shown_with_its_words() -> None:
    message = CaseMessageText(
        seq=2, kind="received", recipient=Recipient.REPORTER, lead_id=None, state="failed",
        provider="smtp", attempts=None, error="no_address", occurred_at=NOW,
        address_masked="138****8000", text="已收到，编号 261122-0001",
    )  # fmt: skip
    page = await shown("case.html", DISPATCHED, person(Role.SUPERVISOR), messages=[message])
    for words in (
        "已收到，编号 261122-0001", "Not delivered", "To the reporter", "138****8000",
        "No way to reach",
    ):  # fmt: skip
        assert words in page


async def test_that_nothing_was_sent_is_said_only_if_it_is_known() -> None:
    nothing = await shown("case.html", DISPATCHED, person(Role.OPERATOR), messages=[])
    away = await shown("case.html", DISPATCHED, person(Role.OPERATOR), messages=None)
    assert ("None so far" in nothing, "None so far" in away) == (True, False)
    assert "Cannot be shown at the moment" in away


async def test_the_contact_is_masked_until_somebody_asks_for_it() -> None:
    operator, vault = person(Role.OPERATOR), Vault()
    masked = await shown("case.html", DISPATCHED, operator, vault=vault)
    assert "138****8000" in masked
    assert "13800138000" not in masked
    assert vault.asked_by == []
    full = await shown("case.html", DISPATCHED, operator, vault=vault, with_contact=True)
    assert 'href="tel:13800138000"' in full
    assert vault.asked_by == ["operator:somebody"]


async def test_without_the_vault_nobody_is_said_to_have_left_no_contact() -> None:
    page = await shown("case.html", DISPATCHED, person(Role.OPERATOR), vault=Vault(away=True))
    assert "Left no contact" not in page
    assert "Show the contact" not in page


@pytest.mark.parametrize(
    ("role", "lead_id", "ledger", "sees", "contact"),
    [
        (Role.OPERATOR, None, DISPATCHED, True, True),
        (Role.ADMINISTRATOR, None, CLOSED, True, True),
        (Role.SUPERVISOR, None, DISPATCHED, True, False),
        (Role.LEAD, "li", DISPATCHED, True, True),
        (Role.LEAD, "li", CLOSED, True, False),
        (Role.LEAD, "wu", DISPATCHED, False, False),
        (
            Role.LEAD,
            "li",
            steps(
                (CaseDispatched, OPERATOR, TO_LI),
                (CaseReassigned, OPERATOR, {**TO_LI, "lead": WU, "previous_lead_id": "li"}),
            ),
            True,
            False,
        ),
    ],
)
def test_who_sees_what(
    role: Role, lead_id: str | None, ledger: list[Step], sees: bool, contact: bool
) -> None:
    who = person(role, lead_id)
    assert may_see(ledger, who) is sees
    assert may_see_contact(case_after(ledger), who) is contact


async def test_a_lead_may_act_on_his_own_case_only() -> None:
    own = await shown("case_for_lead.html", DISPATCHED, person(Role.LEAD, "li"))
    assert 'value="accept"' in own
    over = await shown("case_for_lead.html", CLOSED, person(Role.LEAD, "li"))
    assert [each for each in ("accept", "arrive", "resolve", "return") if f'"{each}"' in over] == []


async def test_a_case_in_progress_is_not_offered_as_if_it_waited() -> None:
    """A15: reassigning is folded away behind its own word."""
    page = await shown("case.html", DISPATCHED, person(Role.OPERATOR))
    side = page[page.index('class="pane side') :]
    folded = side.index("<summary>Give it to somebody else</summary>")
    assert folded < side.index('value="place"')


class _VaultWithMore(Vault):
    """A reporter who named an area alone, and wrote again."""

    async def texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        more = [
            ReportAddition(added_at=NOW, text="It sparks", address=None, otherwise=False),
            ReportAddition(added_at=NOW, text=None, address="Lucky Road 112", otherwise=False),
            ReportAddition(added_at=NOW, text=None, address=None, otherwise=True),
        ]
        texts = await super().texts(report_ids)
        changed = {"additions": more, "accuracy_metres": 1500.0}
        return {each: said.model_copy(update=changed) for each, said in texts.items()}


@pytest.mark.parametrize(
    ("template", "who"),
    [("case.html", person(Role.OPERATOR)), ("case_for_lead.html", person(Role.LEAD, "li"))],
)
async def test_b8_what_the_reporter_sent_later_is_shown_to_whoever_handles_it(
    template: str, who: Person
) -> None:
    page = await shown(template, DISPATCHED, who, vault=_VaultWithMore())
    assert page.count("Added by the reporter") == 3
    assert "It sparks" in page
    assert "Lucky Road 112" in page
    assert "sent again with another place, kind or contact" in page


async def test_b6_a_rough_place_is_not_printed_as_a_point() -> None:
    operator = person(Role.OPERATOR)
    first = DISPATCHED[0]
    assert first.event is not None
    place = {"position": Position(latitude=23.01, longitude=113.01)}
    ledger = [first._replace(event=first.event.model_copy(update=place)), *DISPATCHED[1:]]
    page = await shown("case.html", ledger, operator, vault=_VaultWithMore())
    assert "only roughly, within 1.5\N{NO-BREAK SPACE}km of" in page
    assert "only roughly" not in await shown("case.html", ledger, operator)
    said = place | {"reported_accuracy_metres": 1500.0}
    ledger = [first._replace(event=first.event.model_copy(update=said)), *DISPATCHED[1:]]
    page = await shown("case.html", ledger, operator, vault=Vault(away=True))
    assert "only roughly, within 1.5\N{NO-BREAK SPACE}km of" in page, "the ledger knows"
