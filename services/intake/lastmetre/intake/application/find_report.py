"""A report, by its case's number and its reporter's phone."""

from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import cases
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.domain.attempts import PublicLimits, TooManyAttempts


class FindReport:
    """A try counts before anybody looks, and only one that came off is forgotten: four digits are
    quickly tried through, by many requests at once and by many clients."""

    def __init__(
        self, host: ServiceHost, vault: ReadVault, attempts: AttemptCounter, limits: PublicLimits
    ) -> None:
        self._host = host
        self._vault = vault
        self._attempts = attempts
        self._limits = limits

    async def __call__(self, client: str, number: str, digits: str) -> bytes | None:
        """The identity of the report of case `number` whose reporter's phone ends in `digits`.

        Raises TooManyAttempts.
        """
        attempts = self._limits.finding(client, number)
        if (passed := await self._attempts.reserve(attempts)) is not None:
            raise TooManyAttempts(passed)
        identity = await self._identity(number, digits)
        if identity is not None:
            await self._attempts.release(attempts)
        return identity

    async def _identity(self, number: str, digits: str) -> bytes | None:
        async with connected(self._host.pool) as connection:
            found = await cases.by_number(connection, number)
        kept = await self._vault.kept([each.report_id for each in found])
        for each in found:
            entry = kept.get(each.report_id)
            if entry is not None and entry.phone_ends_with(digits):
                return each.identity
        return None
