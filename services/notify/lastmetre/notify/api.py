"""HTTP in, for programs: what became of the messages about a case."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.domain.messages import lead_of, message_id, recipient_kind
from lastmetre.notify.store import pages

STAFF = (Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
SERVICES = ServiceKey("intake", "dispatch", "notify", "metrics")


def api_router(host: ServiceHost) -> APIRouter:
    """The JSON API of notify."""
    router = APIRouter(route_class=GuardedRoute, prefix="/api/notify/v1")

    @router.get("/cases/{case_id}/messages")
    @allow(SERVICES, *STAFF)
    async def messages(case_id: UUID) -> dict[str, Any]:
        """Every message about a case in order of its events; without addresses, we keep none."""
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            rows = await pages.messages_of(connection, case_id)
        return {"case_id": case_id, "messages": [_message(dict(row)) for row in rows]}

    return router


def _message(row: dict[str, Any]) -> dict[str, Any]:
    recipient: str = row["recipient"]
    return {
        "message_id": message_id(row["case_id"], row["seq"], recipient),
        "seq": row["seq"],
        "kind": row["kind"],
        "recipient": recipient_kind(recipient).value,
        "lead_id": lead_of(recipient),
        "state": row["state"],
        "provider": row["provider"],
        "attempts": row["attempts"],
        "error": row["error"],
        "occurred_at": row["occurred_at"],
        "asked_at": row["asked_at"],
        "not_before": row["not_before"],
    }
