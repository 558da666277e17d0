"""Who gets a case: the lead of an area, or the command centre's queue for a reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast

from lastmetre.common.contracts.base import SYSTEM, Actor
from lastmetre.common.contracts.case_model import WITH_A_LEAD
from lastmetre.common.contracts.cases import (
    CaseDispatched,
    CaseReassigned,
    CaseUnplaced,
    UnplacedReason,
)
from lastmetre.dispatch.domain.decision import Recorder
from lastmetre.dispatch.domain.network import Answering, Area, Network


def place(ledger: Recorder, at: datetime, answering: Answering, network_version: int) -> None:
    """To the lead who answers for the case's position; to the centre if nobody does, or it is not
    known well enough to say who."""
    area = answering.area
    if ledger.case.position is None:
        unplace(ledger, at, SYSTEM, "no_position")
    elif area is None:
        unplace(ledger, at, SYSTEM, "outside_every_area")
    elif area.lead is None:
        unplace(ledger, at, SYSTEM, "area_without_lead")
    elif answering.several:
        unplace(ledger, at, SYSTEM, "several_leads", answering.several)
    else:
        assign(ledger, at, SYSTEM, area, "position", network_version)


def assign(
    ledger: Recorder,
    at: datetime,
    actor: Actor,
    area: Area,
    matched_by: Literal["position", "operator", "reopened"],
    network_version: int,
) -> None:
    previous = ledger.case.lead_id if ledger.case.state in WITH_A_LEAD else None
    kind = CaseDispatched if previous is None else CaseReassigned
    ledger.record(
        kind,
        actor,
        at,
        area_id=area.area_id,
        lead=area.lead,
        matched_by=matched_by,
        network_version=network_version,
        **({} if previous is None else {"previous_lead_id": previous}),
    )


def unplace(
    ledger: Recorder,
    at: datetime,
    actor: Actor,
    reason: UnplacedReason,
    areas: Sequence[Area] = (),
) -> None:
    area_ids = tuple(each.area_id for each in areas)
    ledger.record(CaseUnplaced, actor, at, reason=reason, area_ids=area_ids)


def assign_again(ledger: Recorder, at: datetime, network: Network) -> None:
    area = network.areas.get(ledger.case.area_id or "")
    if area is None or area.lead is None:
        unplace(ledger, at, SYSTEM, "reopened")
    else:
        assign(ledger, at, SYSTEM, area, "reopened", network.version)


def place_as_before(ledger: Recorder, at: datetime, network: Network) -> None:
    """To whoever had the case, or into the queue for the same reason as before."""
    case = ledger.case
    if case.unplaced_reason is None:
        assign_again(ledger, at, network)
    else:
        (answering,) = network.answering([(case.position, case.within_metres, None)])
        several = answering.several if case.unplaced_reason == "several_leads" else ()
        unplace(ledger, at, SYSTEM, cast("UnplacedReason", case.unplaced_reason), several)
