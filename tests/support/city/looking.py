"""What is known of cases, and the figures."""

from typing import Any
from uuid import UUID

from lastmetre.common.security.callers import Role
from tests.support.city.connections import Connections
from tests.support.city.figures import figure


class Looking(Connections):
    """What a test looks at."""

    async def state(self, case_id: UUID) -> tuple[int, str]:
        """The last seq and the state of a case in dispatch."""
        dispatch = await self.database("dispatch")
        row = await dispatch.fetchrow('SELECT seq, state FROM "case" WHERE case_id = $1', case_id)
        return (row["seq"], row["state"]) if row else (0, "")

    async def ledger(self, case_id: UUID) -> list[str]:
        """The short names of a case's events."""
        dispatch = await self.database("dispatch")
        rows = await dispatch.fetch(
            "SELECT type FROM ledger WHERE case_id = $1 ORDER BY seq", case_id
        )
        return [row["type"].split(".")[2] for row in rows]

    async def indicators(self, **asked: str) -> dict[str, Any]:
        """The figures, as a supervisor asks for them."""
        answer = await self.http.get(
            self.url("metrics", "/indicators"),
            params=asked,
            headers=self.bearer(Role.SUPERVISOR),
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    async def figure(self, service: str, name: str, **labels: str) -> float:
        """The sum of a figure's samples of a service's first process."""
        answer = await self.http.get(self.url(service, "/metrics"))
        answer.raise_for_status()
        return figure(answer.text, name, **labels)
