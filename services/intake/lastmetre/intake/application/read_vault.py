"""What the vault holds of reports, opened for the use case that needs it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from lastmetre.common.contact import ContactCheck, Reachable
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.service.clock import city_time
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.intake.adapters.postgres import reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import CannotOpen, Vault, open_conflict
from lastmetre.intake.application.open_vault import opened
from lastmetre.intake.domain.additions import Addition, addition_of
from lastmetre.intake.domain.vault_entries import VaultEntry

log = structlog.get_logger()


class ReadVault:
    """Opens many reports' rows at once; one that is damaged is left out."""

    def __init__(self, host: ServiceHost, vault: Vault, check: ContactCheck) -> None:
        self._host = host
        self._vault = vault
        self._check = check
        for kind in ("report", "lead"):
            metrics.VAULT_DAMAGED.labels(kind)

    def ways(self, kept: VaultEntry) -> Reachable:
        """How a reporter can be reached."""
        phone = kept.usable_phone
        takes_texts = phone is not None and self._check.takes_texts(phone)
        return Reachable(phone, kept.usable_email, takes_texts)

    async def kept(self, report_ids: Sequence[UUID]) -> dict[UUID, VaultEntry]:
        """What was typed into these reports. Raises CannotOpen where a key is missing."""
        kept, _ = await self.kept_and_damaged(report_ids)
        return kept

    async def kept_and_damaged(
        self, report_ids: Sequence[UUID]
    ) -> tuple[dict[UUID, VaultEntry], list[UUID]]:
        """The same, and which rows are damaged."""
        async with connected(self._host.pool) as connection:
            sealed = await reports.sealed_of(connection, report_ids)
            bodies, damaged = await opened(connection, self._vault, sealed)
        entries = {each: VaultEntry.model_validate_json(body) for each, body in bodies.items()}
        return entries, damaged

    async def additions(self, kept: Mapping[UUID, VaultEntry]) -> dict[UUID, list[Addition]]:
        """What reporters sent later, oldest first; the same twice counts once."""
        async with connected(self._host.pool) as connection:
            later = await reports.conflicts(connection, list(kept))
        found: dict[UUID, dict[bytes, Addition]] = defaultdict(dict)
        for each in sorted(later, key=lambda each: each.place.appended_at):
            if each.sealed is not None and (body := self._later_body(each.sealed, each.report_id)):
                first = kept[each.report_id]
                appended_at = datetime.fromtimestamp(each.place.appended_at / 1000, UTC)
                addition = addition_of(
                    ReportSubmitted.from_json(body),
                    city_time(self._host.clock, appended_at),
                    text=first.text,
                    address=first.address,
                )
                found[each.report_id].setdefault(body, addition)
        return {report_id: list(of_report.values()) for report_id, of_report in found.items()}

    def _later_body(self, sealed: bytes, report_id: UUID) -> bytes | None:
        """What was sent later; None, which is told in log and figures, where it is damaged."""
        try:
            return open_conflict(self._vault, sealed, report_id)
        except CannotOpen:
            metrics.VAULT_DAMAGED.labels("report").inc()
            log.error("a row of the vault is damaged", kind="later record", id=str(report_id))
            return None
