"""What people wrote, asked of intake at the moment it is shown; never kept here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx
import structlog
from pydantic import ValidationError

from lastmetre.common.contracts.vault import VAULT_PREFIX, ReportText, ReportTexts, TextsAsked

log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 3.0


@dataclass
class VaultClient:
    """Asks intake with this service's key."""

    base_url: str
    service_key: str

    def __post_init__(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=TIMEOUT_SECONDS,
            headers={"Authorization": f"Bearer {self.service_key}"},
        )

    async def texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        """The texts of these reports; empty while intake is away: a list is better than none."""
        if not report_ids:
            return {}
        try:
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
