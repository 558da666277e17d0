"""Fingerprints of commands: old ones stay what builds of before compare."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import Action, ActionRequested, FeedbackGiven
from lastmetre.dispatch.adapters.postgres.results import CommandResult
from lastmetre.dispatch.application.execute_commands import replayed_result
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.fingerprints import fingerprint, fingerprint_v0

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE = UUID("01936f00-0000-7000-8000-000000000001")
REQUEST = UUID(int=7)


def action(**facts: Any) -> ActionRequested:
    return ActionRequested.model_validate(
        {
            "case_id": CASE,
            "action_id": REQUEST,
            "action": Action.RETURN,
            "actor": Actor(role=ActorRole.LEAD, id="li"),
            "occurred_at": NOW,
            "return_reason": "not_found",
            **facts,
        }
    )


FEEDBACK = FeedbackGiven(
    case_id=CASE, feedback_id=REQUEST, closing=5, solved=False, score=1, reopen=True,
    occurred_at=NOW,
)  # fmt: skip


def test_they_never_change() -> None:
    """They are kept in databases: another digest would refuse every repetition."""
    assert fingerprint(action()).hex() == "017850de789efab7b22abba58b714a5e95"
    assert fingerprint(FEEDBACK).hex() == "0157b861a6c9e4f3cf49abe50e7b99acf0"
    assert fingerprint_v0(action()).hex() == "917075f545b8ec5388cd0458c106e191"
    assert fingerprint_v0(FEEDBACK).hex() == "2b0714cf5e4fd9977e37971e3c34f618"


def test_what_is_asked_counts_and_when_does_not() -> None:
    same = action(expected_seq=3, occurred_at=NOW.replace(year=2027))
    assert fingerprint(same) == fingerprint(action())
    others = [
        action(return_reason="wrong_area"),
        action(action=Action.CANCEL),
        action(actor=Actor(role=ActorRole.LEAD, id="wang")),
        action(case_id=UUID(int=1)),
    ]
    assert len({fingerprint(each) for each in [*others, action()]}) == 5


@pytest.mark.parametrize(
    ("kept", "kept_v0", "granted"),
    [
        (fingerprint(action()), fingerprint_v0(action()), True),
        (None, fingerprint_v0(action()), True),  # answered by a build of before
        (None, None, True),  # adopted from the log, or older than any digest
        (fingerprint(action(return_reason="wrong_area")), None, False),
        (None, fingerprint_v0(action(return_reason="wrong_area")), False),
    ],
)
def test_a_retry_across_the_upgrade_gets_its_result(
    kept: bytes | None, kept_v0: bytes | None, granted: bool
) -> None:
    given = CommandResult(REQUEST, CASE, "return", None, 4, NOW, kept, kept_v0)
    command = Command(action(), "")
    result = replayed_result(command, given, 4, NOW)
    assert result.refusal == (None if granted else "action_id_used")
