"""What a refusal tells: the case to whom it concerns, and nothing of it to others."""

from uuid import UUID

import pytest
from tests.unit.dispatch.test_decide import IN_EAST, NOW, registered

from lastmetre.dispatch.adapters.postgres.results import CommandResult
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.domain.ledger import LedgerLine
from lastmetre.dispatch.entrypoints.api import refusal

LINES = [LedgerLine(3, "lastmetre.case.accepted.v1", NOW, NOW, "lead", "lead-0101")]


def outcome(reason: str) -> Outcome:
    case = registered(IN_EAST).case
    result = CommandResult(UUID(int=7), case.case_id, "accept", reason, case.seq, NOW)
    return Outcome(result, case, LINES)


@pytest.mark.parametrize("reason", ["not_your_case", "not_allowed_for_role"])
def test_others_learn_nothing(reason: str) -> None:
    problem = refusal(outcome(reason))
    assert problem.status == 403
    assert problem.extra == {"refusal": reason, "action_id": str(UUID(int=7))}


def test_whom_it_concerns_learns_what_happened_meanwhile() -> None:
    problem = refusal(outcome("case_has_moved_on"))
    assert problem.status == 409
    assert (problem.extra["state"], problem.extra["seq"]) == ("dispatched", 2)
    assert [line["actor_id"] for line in problem.extra["meanwhile"]] == ["lead-0101"]
