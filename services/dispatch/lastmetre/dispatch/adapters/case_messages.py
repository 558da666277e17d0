"""The messages about a case, asked of notify at the moment they are shown; never kept here."""

from uuid import UUID

from lastmetre.common.contracts.case_messages import (
    CASE_MESSAGES_PATH,
    CaseMessageText,
    CaseMessageTexts,
)
from lastmetre.dispatch.adapters.service_client import ServiceClient


class CaseMessagesClient:
    """Notify's messages."""

    def __init__(self, notify: ServiceClient) -> None:
        self._notify = notify

    async def of(self, case_id: UUID) -> list[CaseMessageText] | None:
        """The messages in the order of the events; None while notify is away."""
        path = CASE_MESSAGES_PATH.format(case_id=case_id)
        found = await self._notify.ask(path, CaseMessageTexts)
        return found.messages if found else None
