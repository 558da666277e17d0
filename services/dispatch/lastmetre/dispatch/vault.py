"""What people wrote, asked of intake at the moment it is shown; never kept here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel, ValidationError

log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 3.0


class ReportText(BaseModel):
    """The words of a report. `contact` is masked."""

    text: str | None = None
    address: str | None = None
    contact: str | None = None


class _Texts(BaseModel):
    reports: dict[UUID, ReportText]


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
                "/api/intake/v1/texts", json={"report_ids": [str(each) for each in report_ids]}
            )
            response.raise_for_status()
            return _Texts.model_validate_json(response.content).reports
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("texts cannot be had", error=type(error).__name__)
            return {}
