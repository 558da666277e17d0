"""The command centre's list: pages of cases by view, filter and words."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contact import masked_phone
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.vault import ASKED_AT_MOST, ReportText
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import case_list as store
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.domain.case_filter import CaseFilter, ViewName
from lastmetre.dispatch.domain.held_actions import HeldAction

PAGE_ROWS: Final = 50
SEARCHED_AT_ONCE: Final = 1000
_TAIL_DIGITS: Final = 4
_PHONE_DIGITS: Final = 7


class Searched(NamedTuple):
    """Of a view's cases, in its order: so many, behind the first `start`."""

    start: int
    how_many: int
    more: bool
    """There are others behind them."""
    could_be_read: bool
    """The vault told the words; else nobody knows whether there is a case like that."""


@dataclass(frozen=True, slots=True)
class CasePage:
    """One page of a list. `total` is None where nobody counts: of what is over."""

    cases: Sequence[Case]
    total: int | None
    more: bool
    searched: Searched | None = None
    """Where words were looked for."""


class CaseList:
    """Reads the list. Words are in the vault, so they are looked for among some cases at a time."""

    def __init__(self, host: ServiceHost, vault: VaultClient) -> None:
        self._host = host
        self._vault = vault

    async def page(
        self, wanted: CaseFilter, words: str, number: int, searched_from: int = 0
    ) -> CasePage:
        """That page of the list, from 1. Words are looked for in `SEARCHED_AT_ONCE` cases behind
        the first `searched_from`."""
        start = (number - 1) * PAGE_ROWS
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            if not words:
                found = await store.listed(connection, wanted, PAGE_ROWS + 1, start)
                over = wanted.view == "closed"
                total = None if over else await store.counted(connection, wanted)
                return CasePage(found[:PAGE_ROWS], total, len(found) > PAGE_ROWS)
            found = await store.listed(connection, wanted, SEARCHED_AT_ONCE + 1, searched_from)
        searched = found[:SEARCHED_AT_ONCE]
        texts = await self._texts([each for case in searched for each in case.report_ids])
        hits = [
            case
            for case in searched
            if any(matches(texts.get(each), words) for each in case.report_ids)
        ]
        return CasePage(
            hits[start : start + PAGE_ROWS],
            len(hits),
            len(hits) > start + PAGE_ROWS,
            Searched(
                searched_from,
                len(searched),
                len(found) > SEARCHED_AT_ONCE,
                bool(texts) or not searched,
            ),
        )

    async def _texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        """Cases may have more reports than one question takes."""
        found: dict[UUID, ReportText] = {}
        for first in range(0, len(report_ids), ASKED_AT_MOST):
            found |= await self._vault.texts(report_ids[first : first + ASKED_AT_MOST])
        return found

    async def counts(self) -> dict[ViewName, int]:
        """How many cases the views of open ones have."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.open_counts_by_view(connection)

    async def kinds(self) -> Sequence[str]:
        """The categories of open cases."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return await store.kinds_in_use(connection)


def matches(said: ReportText | None, words: str) -> bool:
    """Whether a report's text, address or phone is what was typed.

    Of a phone only its ends are known here: four digits are its last ones, more of them the whole.
    """
    if said is None:
        return False
    digits = words.replace(" ", "").replace("-", "").removeprefix("+86")
    if digits.isascii() and digits.isdecimal() and said.phone_masked:
        if len(digits) == _TAIL_DIGITS and said.phone_masked.endswith(digits):
            return True
        if len(digits) >= _PHONE_DIGITS and said.phone_masked == masked_phone(digits):
            return True
    typed = words.casefold()
    return any(typed in each.casefold() for each in (said.text, said.address) if each)


def version_of(cases: Sequence[Case], held: Sequence[UUID]) -> str:
    """Another one as soon as a list of cases is another, or one of them has moved on."""
    rows = [f"{case.case_id}:{case.seq}" for case in cases]
    return sha256(" ".join([*rows, *sorted(map(str, held))]).encode()).hexdigest()[:16]


def state_of(case: Case, held: HeldAction | None) -> str:
    """Another one as soon as the case has moved on, or somebody has asked for a step of it."""
    return f"{case.seq}:{held.action_id if held else ''}"
