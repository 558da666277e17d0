"""HTTP in, for programs: what became of the messages about a case."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from lastmetre.common.contracts.case_messages import CaseMessageTexts
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.case_messages import CaseMessages
from lastmetre.notify.domain.messages import lead_of, message_id, recipient_kind
from lastmetre.notify.store import pages
from lastmetre.notify.store.pages import StoredMessage

STAFF = (Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
SERVICES = ServiceKey("intake", "dispatch", "notify", "metrics")


def api_router(host: ServiceHost, case_messages: CaseMessages) -> APIRouter:
    """The JSON API of notify."""
    router = APIRouter(route_class=GuardedRoute, prefix="/api/notify/v1")

    @router.get("/cases/{case_id}/messages")
    @allow(SERVICES, *STAFF)
    async def messages(case_id: UUID) -> dict[str, Any]:
        """Every message about a case in order of its events; without addresses, we keep none."""
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            rows = await pages.messages_of(connection, case_id)
        return {"case_id": case_id, "messages": [_message(row) for row in rows]}

    @router.get("/cases/{case_id}/messages/texts")
    @allow(ServiceKey("dispatch"))
    async def texts(case_id: UUID) -> Response:
        """The same with their words, for the staff's page of the case."""
        found = CaseMessageTexts(messages=await case_messages.of(case_id))
        return Response(
            found.model_dump_json(),
            media_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return router


def _message(message: StoredMessage) -> dict[str, Any]:
    return {
        "message_id": message_id(message.case_id, message.seq, message.recipient),
        "seq": message.seq,
        "kind": message.kind,
        "recipient": recipient_kind(message.recipient).value,
        "lead_id": lead_of(message.recipient),
        "state": message.state,
        "provider": message.provider,
        "attempts": message.attempts,
        "error": message.error,
        "occurred_at": message.occurred_at,
        "asked_at": message.asked_at,
        "not_before": message.not_before,
    }
