"""The cases that merges and splits are about besides the one that they are asked of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseEvent, ReportOfCase
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.merging import CORRECTIONS, NOTHING_BESIDE, Beside

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


def _of(command: Command, action: Action) -> ActionRequested | None:
    request = command.request
    wanted = isinstance(request, ActionRequested) and request.action is action
    return request if wanted and isinstance(request, ActionRequested) else None


class CasesBeside:
    """What a batch's merges and splits rest on, as its earlier commands leave it."""

    def __init__(self, cases: Mapping[UUID, Case]) -> None:
        self._cases = cases
        self._of_report = {case.report_id: case.case_id for case in cases.values()}
        self._reports: dict[UUID, ReportOfCase] = {}
        self._corrected: dict[UUID, int] = {}

    async def read(self, connection: "Connection", commands: Iterable[Command]) -> None:
        """What the ledger says of the cases that are to be merged, if any are."""
        merges = [each for command in commands if (each := _of(command, Action.MERGE))]
        if not merges:
            return
        # A report may have come by an earlier merge of the same batch.
        self._reports = await ledger.reports_of(connection, list(self._cases))
        self._corrected = await ledger.last_of_types(
            connection,
            [each.into_case_id for each in merges if each.into_case_id],
            sorted(CORRECTIONS),
        )

    def of(self, command: Command) -> Beside:
        """What is beside the case of one command."""
        if merge := _of(command, Action.MERGE):
            into = merge.into_case_id
            if into is None:
                return NOTHING_BESIDE
            return Beside(self._cases.get(into), self._reports, self._corrected.get(into, 0))
        if (split := _of(command, Action.SPLIT)) and split.report_id:
            case_id = self._of_report.get(split.report_id)
            return Beside(self._cases.get(case_id)) if case_id else NOTHING_BESIDE
        return NOTHING_BESIDE

    def note(self, events: Sequence[CaseEvent]) -> None:
        """These were decided in the same batch."""
        for event in events:
            if event.TYPE in CORRECTIONS:
                self._corrected[event.case_id] = event.seq


async def lock_all(
    connection: "Connection", commands: Sequence[Command]
) -> tuple[dict[UUID, Case], CasesBeside]:
    """Every case that these commands are about, locked in id order; and what is beside each."""
    case_ids = {each.case_id for each in commands}
    merges = [each for command in commands if (each := _of(command, Action.MERGE))]
    splits = [each for command in commands if (each := _of(command, Action.SPLIT))]
    case_ids |= {each.into_case_id for each in merges if each.into_case_id}
    if report_ids := [each.report_id for each in splits if each.report_id]:
        cases = await store.lock_cases_of(connection, case_ids, report_ids)
    else:
        cases = await store.lock_cases(connection, case_ids)
    beside = CasesBeside(cases)
    await beside.read(connection, commands)
    return cases, beside


async def other_case(connection: "Connection", request: ActionRequested) -> Case | None:
    """The case beside the one that a merge or a split is asked of, as it stands."""
    if request.action is Action.MERGE and request.into_case_id:
        return await store.case_by_id(connection, request.into_case_id)
    if request.action is Action.SPLIT and request.report_id:
        return await store.case_registered_for(connection, request.report_id)
    return None


async def read_beside(connection: "Connection", case: Case, command: Command) -> Beside:
    """What is beside the case of one command, without a lock."""
    request = command.request
    if not isinstance(request, ActionRequested):
        return NOTHING_BESIDE
    other = await other_case(connection, request)
    if other is None:
        return NOTHING_BESIDE
    beside = CasesBeside({case.case_id: case, other.case_id: other})
    await beside.read(connection, [command])
    return beside.of(command)
