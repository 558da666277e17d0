"""The network, and reports in."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx

from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose
from tests.support.city.connections import Connections
from tests.support.city.places import AREAS, inside
from tests.support.city.waiting import eventually


class Reports(Connections):
    """What channels and administrators do."""

    async def import_network(self, areas: Sequence[Mapping[str, Any]] = AREAS) -> None:
        """Make these the network."""
        response = await self.http.put(
            self.url("dispatch", "/network"),
            json={"areas": list(areas)},
            headers=self.bearer(Role.ADMINISTRATOR),
        )
        response.raise_for_status()

    async def post(self, channel: str, body: Any, **options: Any) -> httpx.Response:
        """Send a report, or several, through the API."""
        return await self.http.post(
            self.url("intake", f"/channels/{channel}/reports"),
            json=body,
            headers=self.credentials.channel(channel),
            **options,
        )

    async def report(self, source_id: str, channel: str = "app", **fields: Any) -> str:
        """Send one report about a thing in the first square; returns its receipt."""
        body = {"text": "路灯不亮", "position": inside(0), **fields, "source_id": source_id}
        response = await self.post(channel, body)
        response.raise_for_status()
        receipt: str = response.json()["receipt"]
        return receipt

    async def case_of(self, receipt: str) -> UUID:
        """The case that a report became."""
        identity = self.links.open(LinkPurpose.RECEIPT, receipt)
        intake, dispatch = await self.database("intake"), await self.database("dispatch")

        async def look() -> UUID | None:
            report_id = await intake.fetchval(
                "SELECT report_id FROM report WHERE identity = $1", identity
            )
            case_id: UUID | None = await dispatch.fetchval(
                'SELECT case_id FROM "case" WHERE report_id = $1', report_id
            )
            return case_id

        return await eventually(look, "case")

    async def new_case(self, source_id: str, **fields: Any) -> UUID:
        """Report, and wait until it is a case."""
        return await self.case_of(await self.report(source_id, **fields))
