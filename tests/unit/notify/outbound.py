"""Outbound messages, for tests of providers."""

from datetime import date
from uuid import UUID

from lastmetre.notify.domain.messages import REPORTER
from lastmetre.notify.domain.provider import OutboundMessage


def outbound(
    case_id: UUID, seq: int = 2, *, address: str = "a@example.org", body: str = "已收到"
) -> OutboundMessage:
    return OutboundMessage(
        case_id=case_id,
        number="261122-0418",
        seq=seq,
        recipient=REPORTER,
        kind="received",
        language="zh",
        address=address,
        day=date(2026, 11, 22),
        subject="已收到，编号 261122-0418",
        body=body,
        attempt=1,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
