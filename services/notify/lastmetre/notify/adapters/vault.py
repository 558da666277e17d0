"""Addresses, asked of intake's vault at the moment of sending. Never stored, never logged."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import httpx
from pydantic import ValidationError

from lastmetre.common.contracts.vault import (
    ASKED_AT_MOST,
    VAULT_PREFIX,
    Contacts,
    ContactsAsked,
)
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.timing import timed
from lastmetre.common.telemetry.traces import TRACES

PATH: Final = f"{VAULT_PREFIX}/contacts"
TIMEOUT_SECONDS: Final = 5.0


class VaultAway(Exception):
    """The vault does not answer, or not as agreed. It passes: nothing is given up for it."""


class Vault:
    """Asks intake over kept connections, with notify's own service key."""

    def __init__(self, base_url: str, service_key: str) -> None:
        metrics.calls_from_the_start("notify", "contacts")
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {service_key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            transport=TRACES.transport(),
        )

    async def contacts(self, report_ids: Iterable[UUID], lead_ids: Iterable[str]) -> Contacts:
        """The contacts of these; raises VaultAway."""
        reports, leads = list(report_ids), list(lead_ids)
        found = Contacts()
        for start in range(0, max(len(reports), len(leads)), ASKED_AT_MOST):
            part = slice(start, start + ASKED_AT_MOST)
            answer = await self._ask(
                ContactsAsked.model_construct(report_ids=reports[part], lead_ids=leads[part])
            )
            found.reports.update(answer.reports)
            found.leads.update(answer.leads)
            found.unreadable_reports.extend(answer.unreadable_reports)
            found.unreadable_leads.extend(answer.unreadable_leads)
        return found

    async def _ask(self, asked: ContactsAsked) -> Contacts:
        try:
            with timed(metrics.VAULT_CALLS, "notify", "contacts"):
                response = await self._client.post(PATH, content=asked.model_dump_json())
                response.raise_for_status()
                return Contacts.model_validate_json(response.content)
        except httpx.HTTPStatusError as error:
            raise VaultAway(f"HTTP {error.response.status_code}") from None
        except (httpx.HTTPError, ValidationError) as error:
            raise VaultAway(type(error).__name__) from None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
