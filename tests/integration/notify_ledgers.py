"""What the tests of notify tell it of cases, and what must have become of that."""

from datetime import UTC, datetime
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.service.ids import IdGenerator
from tests.support.city import NotifyAlone
from tests.unit.notify.ledger import event, registered

IDENTITIES = IdGenerator()
PHONE, EMAIL, LEAD_PHONE = "13800001111", "reporter@example.org", "13900000001"


LEADS = {
    "L001": {"name": "李敏", "phone": LEAD_PHONE, "language": "zh"},
    "L002": {"name": "王建国", "phone": "13900000002", "language": "zh"},
}


def new_ids() -> tuple[UUID, UUID]:
    now = datetime.now(UTC)
    return IDENTITIES.uuid7(now), IDENTITIES.uuid7(now)


def lifecycle(city: NotifyAlone, number: str, *, address: dict[str, str]) -> list[CaseEvent]:
    """A case from registration to closing: five messages, four of them to the reporter."""
    case_id, report_id = new_ids()
    city.vault.contacts[str(report_id)] = address | {"language": "zh"}
    first = registered(case_id=case_id, report_id=report_id, number=number)
    kinds: tuple[type[CaseEvent], ...] = (
        cases.CaseDispatched, cases.CaseAccepted, cases.CaseArrived, cases.CaseResolved,
        cases.CaseVerified, cases.CaseClosed,
    )  # fmt: skip
    return [first, *(event(kind, seq, case_id=case_id) for seq, kind in enumerate(kinds, 2))]


MESSAGES_A_CASE = 5


def mixed(ledgers: list[list[CaseEvent]]) -> list[CaseEvent]:
    """All cases one step further, then the next step: each case's order is kept."""
    return [each for step in zip(*ledgers, strict=True) for each in step]


async def once_each(city: NotifyAlone, expected: int, *, killed: bool = False) -> None:
    """Each message came to one end and was told once; by a relay that was killed perhaps again,
    in the same words."""
    delivered = await city.deliveries()
    assert len({each.message_id for each in delivered}) == expected
    assert len(set(delivered) if killed else delivered) == expected
    assert await city.asked() == expected
