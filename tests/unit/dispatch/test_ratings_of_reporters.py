"""Each reporter of a case rates a closing for himself; none takes another's rating from him."""

from uuid import UUID, uuid4

import pytest
from tests.unit.dispatch.test_decide import (
    CASE,
    NOW,
    RESOLVE,
    SUPERVISOR,
    ask,
    decided_on,
    history,
    names,
)

from lastmetre.common.contracts.cases import CaseRated
from lastmetre.common.contracts.requests import Action, FeedbackGiven
from lastmetre.dispatch.domain.decision import Decision, Refusal

SECOND, THIRD = UUID(int=22), UUID(int=33)


def says(
    report_id: UUID | None, *, solved: bool = True, reopen: bool = False, before: bool = False
) -> FeedbackGiven:
    """What a reporter says about the closing 5; `before`: he has rated it already."""
    return FeedbackGiven(
        case_id=CASE, feedback_id=uuid4(), closing=5, solved=solved, score=4 if solved else 1,
        reopen=reopen, occurred_at=NOW, report_id=report_id, rated_before=before,
    )  # fmt: skip


@pytest.mark.parametrize(
    "order", [(None, SECOND, THIRD), (SECOND, None, THIRD), (THIRD, SECOND, None)]
)
def test_all_of_them_rate_in_any_order(order: tuple[UUID | None, ...]) -> None:
    case = history(RESOLVE)
    for report_id in order:
        decided = decided_on(case, says(report_id))
        assert isinstance(decided, Decision)
        (event,) = decided.events
        assert isinstance(event, CaseRated)
        assert (event.report_id, event.closing) == (report_id, 5)
        case = decided.case
    assert case.rated == (5,), "by whose report it was registered for"
    assert decided_on(case, says(None)) == Refusal("already_rated")


def test_who_joined_can_have_it_taken_up_again_after_others_were_content() -> None:
    content = history(RESOLVE, says(None), says(SECOND))
    at_once = decided_on(content, says(THIRD, solved=False, reopen=True))
    assert names(at_once) == ["CaseRated", "CaseReopened", "CaseDispatched"]
    later = decided_on(content, says(SECOND, solved=False, reopen=True, before=True))
    assert names(later) == ["CaseReopened", "CaseDispatched"]


def test_what_has_moved_on_is_not_taken_up_again_and_not_rated_twice() -> None:
    reopen = ask(Action.REOPEN, SUPERVISOR, expected_seq=6)
    moved = history(RESOLVE, says(SECOND), reopen)
    asked = says(SECOND, solved=False, reopen=True, before=True)
    assert decided_on(moved, asked) == Refusal("already_rated")
    assert names(decided_on(moved, says(THIRD, solved=False, reopen=True))) == ["CaseRated"]
