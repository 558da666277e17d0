"""Cases beside a case: those that may be of the same problem, and those that have been joined."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import (
    CaseMerged,
    CaseSplit,
    CaseState,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres.case_list import numbers_of
from lastmetre.dispatch.adapters.postgres.likely_cases import reported_near
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.domain.ledger import Step
from lastmetre.dispatch.domain.likeness import Alike, Likeness, Nearness, alike, likeness

LOOKED_AT: Final = 200
SHOWN: Final = 5


class LikelyCase(NamedTuple):
    """A case that may be of the same problem, with what speaks for it."""

    case: Case
    likeness: Likeness
    same_phone: bool
    """As far as the numbers are shown: the middle of each is masked."""


class LikelyCases:
    """Looks for them at that moment; nothing is kept of it."""

    def __init__(self, host: ServiceHost, vault: VaultClient, nearness: Nearness) -> None:
        self._host = host
        self._vault = vault
        self._nearness = nearness

    async def of(self, case: Case) -> list[LikelyCase]:
        """Those near an open case, in place and time, the likeliest first."""
        if case.position is None or not case.is_open:
            return []
        within = self._nearness.within
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            near = await reported_near(
                connection,
                case.position,
                self._nearness.metres,
                case.reported_at - within,
                case.reported_at + within,
                LOOKED_AT,
            )
        found = alike(case, near, self._nearness, SHOWN)
        return await self._with_phones(case, found) if found else []

    async def between(self, case: Case, other: Case) -> LikelyCase:
        """The other case, with what speaks for its being of the same problem."""
        (found,) = await self._with_phones(case, [Alike(other, likeness(case, other))])
        return found

    async def _with_phones(self, case: Case, found: Sequence[Alike]) -> list[LikelyCase]:
        every = [case, *(each.case for each in found)]
        texts = await self._vault.texts([r for each in every for r in each.report_ids])

        def phones(each: Case) -> set[str]:
            said = (texts.get(report_id) for report_id in each.report_ids)
            return {text.phone_masked for text in said if text and text.phone_masked}

        own = phones(case)
        return [
            LikelyCase(each.case, each.likeness, not own.isdisjoint(phones(each.case)))
            for each in found
        ]

    async def joined_by(self, case: Case) -> Case | None:
        """The case that the report of a merged case has joined."""
        if case.state is not CaseState.MERGED:
            return None
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.case_joined_by(connection, case.report_id)

    async def numbers(self, steps: Iterable[Step]) -> Mapping[UUID, str]:
        """The numbers of the cases that a case's history names."""
        named = {case_id for step in steps if (case_id := _named_in(step))}
        if not named:
            return {}
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await numbers_of(connection, sorted(named))


def _named_in(step: Step) -> UUID | None:
    match step.event:
        case CaseMerged() as event:
            return event.into_case_id
        case CaseSplit() as event:
            return event.from_case_id
        case ReportMerged() as event:
            return event.previous_case_id
        case ReportSplit() as event:
            return event.split_case_id
        case _:
            return None
