"""A report from our own form, which anybody may send."""

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.reports import ReportSubmitted, SubmittedContact
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.attempts import PublicLimits, TooManyAttempts
from lastmetre.intake.domain.submission import OPEN_SENDER, SentForm, canonical


class SubmitForm:
    """Counts the report, and sends it as any channel does; it needs no database."""

    def __init__(
        self,
        host: ServiceHost,
        submit: SubmitReports,
        vault: Vault,
        check: ContactCheck,
        attempts: AttemptCounter,
        limits: PublicLimits,
    ) -> None:
        self._host = host
        self._submit = submit
        self._vault = vault
        self._check = check
        self._attempts = attempts
        self._limits = limits

    async def __call__(self, report: ReportSubmitted, client: str) -> SentForm:
        """Once Kafka has it. Raises TooManyAttempts and NotAcknowledged.

        Each report is one for whoever sends it, and for whoever is written to about it.
        """
        contact = report.contact or SubmittedContact()
        usable = self._check.usable(contact.phone, contact.email)
        reached = [each for each in (usable.phone, usable.email) if each]
        attempts = self._limits.reporting(client, reached)
        if passed := await self._attempts.reserve_even_without_database(attempts):
            raise TooManyAttempts(passed, of_contact=passed is self._limits.form_by_contact)
        identity = self._host.links.receipt_identity(
            OPEN_SENDER, Channel.APP.value, report.source_id
        )
        corrects = await self._corrects(identity, report)
        await self._submit(Channel.APP, OPEN_SENDER, [report], None)
        return SentForm(identity, corrects=corrects)

    async def _corrects(self, identity: bytes, report: ReportSubmitted) -> bool:
        try:
            async with connected(self._host.pool) as connection:
                known = (await reports.known(connection, [identity])).get(identity)
        except DATABASE_ERRORS:
            return False  # The progress page will show it all the same.
        present = self._vault.fingerprint(canonical(report))
        return known is not None and known.fingerprint not in (None, present)
