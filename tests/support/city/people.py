"""People acting: leads and operators by HTTP or through their systems, residents by their links."""

from typing import Any
from uuid import UUID

import httpx

from lastmetre.common.contracts.base import ActorRole
from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.common.security.callers import Role
from tests.support.city.connections import Connections
from tests.support.city.records import CENTRE, TERMINALS


class People(Connections):
    """What they do with cases."""

    async def act(
        self, case_id: UUID, action: str, role: Role = Role.LEAD, lead_id: str = "L0", **more: Any
    ) -> httpx.Response:
        """Ask for a step by HTTP."""
        return await self.http.post(
            self.url("dispatch", f"/api/dispatch/v1/cases/{case_id}/actions"),
            json={"action": action, **more},
            headers=self.bearer(role, lead_id if role is Role.LEAD else None),
        )

    async def ask(self, *requests: ActionRequested | FeedbackGiven) -> None:
        """Put requests onto their topics, in this order."""
        for request in requests:
            of_lead = isinstance(request, FeedbackGiven) or request.actor.role is ActorRole.LEAD
            await self.tell(request, source=TERMINALS if of_lead else CENTRE)

    async def let_time_pass(self, case_id: UUID) -> None:
        """What waits of this case, for it can be taken back, is due now."""
        dispatch = await self.database("dispatch")
        done = await dispatch.execute(
            "UPDATE held_action SET due_at = now()"
            " WHERE case_id = $1 AND due_at > now() AND refusal IS NULL",
            case_id,
        )
        assert done == "UPDATE 1", "it waits"

    async def rate_by_form(self, case_id: UUID, closing: int) -> httpx.Response:
        """Rate a closing as solved with four stars, by the page of the secret link."""
        url = self.url("notify", f"/rate/{self.credentials.rating_token(case_id, closing)}")
        return await self.http.post(url, data={"solved": "yes", "score": "4"})

    async def rate(self, case_id: UUID, closing: int, **verdict: Any) -> httpx.Response:
        """Rate a closing as the reporter, by the secret link."""
        token = self.credentials.rating_token(case_id, closing)
        return await self.http.post(
            self.url("notify", f"/api/notify/v1/ratings/{token}"),
            json={"solved": True, "score": 5, "reopen": False, **verdict},
        )
