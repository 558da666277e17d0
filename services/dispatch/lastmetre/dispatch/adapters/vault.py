"""What people wrote, asked of intake at the moment it is shown; never kept here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx
import structlog
from pydantic import ValidationError

from lastmetre.common.contracts.vault import (
    VAULT_PREFIX,
    ContactAsked,
    ContactInFull,
    ReportText,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.timing import timed

log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 3.0


@dataclass
class VaultClient:
    """Asks intake with this service's key."""

    base_url: str
    service_key: str

    def __post_init__(self) -> None:
        metrics.calls_from_the_start("dispatch", "texts", "contact")
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # no proxy or .netrc of the process sees our key
            headers={"Authorization": f"Bearer {self.service_key}"},
        )

    async def texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        """The texts of these reports; empty while intake is away: a list is better than none."""
        if not report_ids:
            return {}
        try:
            with timed(metrics.VAULT_CALLS, "dispatch", "texts"):
                response = await self._client.post(
                    f"{VAULT_PREFIX}/texts",
                    content=TextsAsked(report_ids=list(report_ids)).model_dump_json(),
                    headers={"Content-Type": "application/json"},
                )
                response.raise_for_status()
                return ReportTexts.model_validate_json(response.content).reports
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("texts cannot be had", error=type(error).__name__)
            return {}

    async def contact(self, report_id: UUID, actor: str) -> ContactInFull | None:
        """A reporter's contact; intake notes that `actor` has read it. None while intake is away,
        or if it has none."""
        try:
            with timed(metrics.VAULT_CALLS, "dispatch", "contact"):
                response = await self._client.post(
                    f"{VAULT_PREFIX}/contacts/look",
                    content=ContactAsked(report_id=report_id, actor=actor).model_dump_json(),
                    headers={"Content-Type": "application/json"},
                )
                response.raise_for_status()
                return ContactInFull.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("a contact cannot be had", error=type(error).__name__)
            return None
