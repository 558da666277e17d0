"""What staff see of cases that were joined, may be joined, and of reports told apart again."""

from datetime import timedelta
from uuid import UUID

from tests.unit.dispatch.staff_pages import (
    LI,
    NOW,
    OPERATOR,
    OTHER,
    REGISTERED_CASE,
    REPORT,
    Likely,
    person,
    shown,
    steps,
)

from lastmetre.common.contracts.cases import (
    CaseDispatched,
    CaseMerged,
    CaseSplit,
    CaseState,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.application.likely_cases import LikelyCase
from lastmetre.dispatch.domain.likeness import Likeness

JOINS = UUID(int=9)
NUMBER = "261122-0002"
LINK = f'<a class="nw" href="/cases/{NUMBER}">{NUMBER}</a>'
TO_LI = {"area_id": "A1", "lead": LI, "matched_by": "operator", "network_version": 1}
DISPATCHED = (CaseDispatched, OPERATOR, TO_LI)
JOINED = (
    ReportMerged, OPERATOR,
    {"report_id": JOINS, "channel": "app", "origin": "live", "category": "E1", "reported_at": NOW,
     "reporter_reachable": True, "language": "zh", "previous_case_id": OTHER,
     "reason": "said_by_reporter"},
)  # fmt: skip
LEFT = (
    ReportSplit, OPERATOR,
    {"report_id": JOINS, "split_case_id": OTHER, "reason": "seen_on_site"},
)  # fmt: skip
ENDED = (
    CaseMerged, OPERATOR,
    {"into_case_id": OTHER, "report_ids": [REPORT], "reason": "said_in_report"},
)  # fmt: skip
BACK = (CaseSplit, OPERATOR, {"from_case_id": OTHER, "reason": "seen_on_site"})
OTHER_CASE = REGISTERED_CASE._replace(case_id=OTHER, number=NUMBER, state=CaseState.ACCEPTED)


async def test_history_says_who_joined_it_to_what_and_why() -> None:
    page = await shown("case.html", steps(DISPATCHED, JOINED, LEFT), person(Role.SUPERVISOR))
    timeline = page[page.index('class="tl"') :]
    assert f'<p class="said">{LINK} · the reporter was asked</p>' in timeline
    assert f'<p class="said">{LINK} · it was seen on the spot</p>' in timeline
    assert "Operator zhou" in timeline
    ended = await shown("case.html", steps(DISPATCHED, ENDED, BACK), person(Role.SUPERVISOR))
    assert f'<p class="said">{LINK} · the report itself says so</p>' in ended


async def test_a_merged_case_leads_to_the_one_that_has_its_report() -> None:
    page = await shown(
        "case.html", steps(DISPATCHED, ENDED), person(Role.OPERATOR),
        likely=Likely(joined=OTHER_CASE),
    )  # fmt: skip
    assert f"Its reports belong to another case now: {LINK}" in page.replace("</span>", "")
    for gone in ("Take it up again", "Join with another case", "It is of another kind"):
        assert gone not in page


async def test_what_may_be_the_same_is_shown_with_its_evidence_to_operators() -> None:
    open_one = LikelyCase(OTHER_CASE, Likeness(32.4, timedelta(minutes=40), True), True)
    closed = open_one._replace(
        case=OTHER_CASE._replace(number="261122-0003", state=CaseState.CLOSED), same_phone=False
    )
    likely = Likely([open_one, closed])
    page = await shown("case.html", steps(DISPATCHED), person(Role.OPERATOR), likely=likely)
    same = page[page.index('id="h-same"') :]
    evidence = "32\xa0m apart · reported 40\xa0min apart · the same kind"
    assert f"{evidence} · <b>the same phone, as far as it is shown</b>" in same
    assert f'href="/cases/261122-0001/join?other={NUMBER}"' in same
    assert '<a class="nw" href="/cases/261122-0003">' in same
    assert "join?other=261122-0003" not in page, "a closed case is linked, not joined"


async def test_each_report_that_has_joined_can_be_separated_by_operators() -> None:
    joined = steps(DISPATCHED, JOINED)
    page = await shown("case.html", joined, person(Role.OPERATOR))
    form = page[page.index("Separate this report") - 1500 : page.index("Separate this report")]
    assert f'name="report_id" value="{JOINS}"' in form
    assert 'name="action" value="split"' in form
    assert 'name="expected_seq" value="3"' in form
    watched = await shown("case.html", joined, person(Role.SUPERVISOR))
    assert "Separate this report" not in watched
    assert "h-same" not in watched
