"""What became of a report, for whoever holds one of its secrets."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contact import Reachable
from lastmetre.common.contracts.base import Channel
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import cases, reports
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.additions import Addition
from lastmetre.intake.domain.case_view import Followed
from lastmetre.intake.domain.vault_entries import VaultEntry

_UUID_BYTES: Final = 16


class FollowReport:
    """Without anything personal."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, identity: bytes) -> Followed | None:
        """The report with its case; None until it was read."""
        async with connected(self._host.pool) as connection:
            return await cases.followed(connection, identity)

    async def behind_message(self, known_as: bytes) -> bytes | None:
        """The identity of the report that the link in a message means; None if there is none.

        The link knows the report's id; in older messages the case's, of which there was one report.
        """
        if len(known_as) != _UUID_BYTES:
            return None
        async with connected(self._host.pool) as connection:
            return await cases.identity_of(connection, UUID(bytes=known_as))


class SentReport(NamedTuple):
    """A report as its sender asks for it."""

    receipt: str
    progress_url: str
    followed: Followed
    read_by: str | None
    """The mapping that read it; None: it was sent in our form."""
    conflicts: int


class FollowSentReport:
    """For the system that sent it, by its own id."""

    def __init__(self, host: ServiceHost, submit: SubmitReports) -> None:
        self._host = host
        self._submit = submit

    async def __call__(self, sender: str, channel: Channel, source_id: str) -> SentReport | None:
        """None if it was not sent, or not read yet."""
        identity = self._host.links.receipt_identity(sender, channel.value, source_id)
        async with connected(self._host.pool) as connection:
            followed = await cases.followed(connection, identity)
            if followed is None:
                return None
            read_by, conflicts = await reports.reading_of(connection, followed.report_id)
        held = self._submit.receipt(sender, channel.value, source_id)
        return SentReport(*held, followed, read_by, conflicts)


class Progress(NamedTuple):
    """A report as its reporter sees it: with what he wrote, and how he is written to."""

    followed: Followed | None
    """None until it was read."""
    version: str
    """As `WatchReports` has it: another one where the page is out of date."""
    kept: VaultEntry
    """Empty where it was erased."""
    additions: Sequence[Addition]
    ways: Reachable


class TellProgress:
    """With the reporter's own words: for whoever holds the link to his page."""

    def __init__(self, host: ServiceHost, vault: ReadVault) -> None:
        self._host = host
        self._vault = vault

    async def __call__(self, identity: bytes) -> Progress:
        """How the report goes."""
        async with connected(self._host.pool) as connection:
            # Before the rest: what changes between the two makes the page load itself again.
            version = (await cases.versions(connection, [identity]))[identity]
            followed = await cases.followed(connection, identity)
        if followed is None:
            return Progress(None, version, VaultEntry(), (), Reachable(None, None))
        found = await self._vault.kept([followed.report_id])
        added = await self._vault.additions(found)
        kept = found.get(followed.report_id, VaultEntry())
        additions = added.get(followed.report_id, [])
        return Progress(followed, version, kept, additions, self._vault.ways(kept))


class JustSent(NamedTuple):
    """A report that was sent a moment ago."""

    followed: Followed | None
    """None until it was read."""
    reachable: bool | None
    """Whether its reporter is written to; None: not known yet."""


class TellJustSent:
    """For the page after the form, which says as much without a database."""

    def __init__(self, follow: FollowReport, vault: ReadVault) -> None:
        self._follow = follow
        self._vault = vault

    async def __call__(self, identity: bytes) -> JustSent:
        """What is known of it already."""
        followed: Followed | None = None
        try:
            followed = await self._follow(identity)
            if followed is None:
                return JustSent(None, None)
            kept = (await self._vault.kept([followed.report_id])).get(followed.report_id)
        except DATABASE_ERRORS:
            return JustSent(followed, None)
        return JustSent(followed, bool(self._vault.ways(kept)) if kept else None)
