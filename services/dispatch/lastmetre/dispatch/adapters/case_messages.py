"""The messages about a case, asked of notify at the moment they are shown; never kept here."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx
import structlog
from pydantic import ValidationError

from lastmetre.common.contracts.case_messages import (
    CASE_MESSAGES_PATH,
    CaseMessageText,
    CaseMessageTexts,
)

log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 3.0


@dataclass
class CaseMessagesClient:
    """Asks notify with this service's key."""

    base_url: str
    service_key: str

    def __post_init__(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # no proxy or .netrc of the process sees our key
            headers={"Authorization": f"Bearer {self.service_key}"},
        )

    async def of(self, case_id: UUID) -> list[CaseMessageText] | None:
        """The messages in the order of the events; None while notify is away."""
        try:
            response = await self._client.get(CASE_MESSAGES_PATH.format(case_id=case_id))
            response.raise_for_status()
            return CaseMessageTexts.model_validate_json(response.content).messages
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("messages cannot be had", error=type(error).__name__)
            return None
