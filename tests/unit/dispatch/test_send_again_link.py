"""From a message that did not go out an operator is led to where it is sent again."""

from datetime import timedelta
from uuid import UUID

import pytest
from tests.unit.dispatch.staff_pages import CASE, NOW, person, shown, steps

from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.contracts.deliveries import Recipient
from lastmetre.common.security.callers import Role

MESSAGE = UUID(int=77)


def message(*, can: bool, asked_by: str | None = None) -> CaseMessageText:
    return CaseMessageText(
        seq=2, kind="received", recipient=Recipient.REPORTER, lead_id=None, state="failed",
        provider="smtp", attempts=None, error="no_address", occurred_at=NOW - timedelta(hours=1),
        address_masked="138****8000", text="已收到", message_id=MESSAGE, asked_by=asked_by,
        can_be_sent_again=can,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("role", "can", "led"),
    [
        (Role.OPERATOR, True, True),
        (Role.ADMINISTRATOR, True, True),
        (Role.OPERATOR, False, False),
        (Role.SUPERVISOR, True, False),
    ],
)
async def test_operators_are_led_on(role: Role, can: bool, led: bool) -> None:
    page = await shown("case.html", steps(), person(role), messages=[message(can=can)])
    address = f'href="https://city.example/messages/{CASE}/{MESSAGE}/again"'
    assert (address in page) is led


async def test_who_asked_is_said() -> None:
    told = [message(can=True, asked_by="operator:zhou.lin")]
    page = await shown("case.html", steps(), person(Role.SUPERVISOR), messages=told)
    assert "Sent again, asked for by zhou.lin" in page
