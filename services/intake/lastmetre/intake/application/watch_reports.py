"""Whether reports have got on, for the progress pages that are open."""

from collections.abc import Mapping, Sequence

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.live_changes import CannotTell
from lastmetre.intake.adapters.postgres import cases
from lastmetre.intake.adapters.postgres.pool import connected


class WatchReports:
    """One query for all pages of this process."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, identities: Sequence[bytes]) -> Mapping[bytes, str]:
        """The version of each; raises CannotTell while the database is away."""
        try:
            async with connected(self._host.pool) as connection:
                return await cases.versions(connection, identities)
        except DATABASE_ERRORS as error:
            raise CannotTell from error
