"""Which event asks for which message to whom: the whole table."""

import pytest

from lastmetre.audit.messages import asked_for
from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.case_model import LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent, CaseState
from lastmetre.common.contracts.deliveries import Recipient
from lastmetre.common.kafka.case_sequence import CASE_EVENT_TYPES
from lastmetre.notify.domain.case_projection import CaseProjection, apply, first, messages_for
from lastmetre.notify.domain.messages import (
    REPORTER,
    Kind,
    lead_of,
    merged_report_of,
    message_id,
    recipient_kind,
    shard_of,
)
from tests.unit.notify.ledger import CASE, FURTHER_REPORT, LI, WANG, event, registered

Told = list[tuple[Kind, str]]


def fold(*kinds: type[CaseEvent], reachable: bool = True) -> tuple[CaseProjection, list[Told]]:
    """The case after these events, and what each of them asked for."""
    case = first(registered(reachable=reachable))
    told: list[Told] = []
    for seq, kind in enumerate(kinds, start=2):
        each = event(kind, seq)
        requests = messages_for(case, each)
        told.append([(request.kind, request.recipient) for request in requests])
        case = apply(case, each, len(requests))
    return case, told


LEAD_1, LEAD_2 = "lead:L001", "lead:L002"
FURTHER = f"reporter:{FURTHER_REPORT}"
TABLE: list[tuple[list[type[CaseEvent]], Told]] = [
    ([cases.CaseDispatched], [(Kind.ASSIGNED, LEAD_1), (Kind.RECEIVED, REPORTER)]),
    ([cases.CaseUnplaced], [(Kind.RECEIVED, REPORTER)]),
    # A18: who was told that the centre looks for somebody is told when it has found him.
    (
        [cases.CaseUnplaced, cases.CaseDispatched],
        [(Kind.ASSIGNED, LEAD_1), (Kind.PLACED, REPORTER)],
    ),
    (
        [cases.CaseDispatched, cases.CaseReturned, cases.CaseUnplaced, cases.CaseDispatched],
        [(Kind.ASSIGNED, LEAD_1), (Kind.PLACED, REPORTER)],
    ),
    (
        [cases.CaseUnplaced, cases.ReportMerged, cases.CaseDispatched],
        [(Kind.ASSIGNED, LEAD_1), (Kind.PLACED, REPORTER), (Kind.PLACED, FURTHER)],
    ),
    ([cases.CaseDispatched, cases.CaseAccepted], [(Kind.ACCEPTED, REPORTER)]),
    ([cases.CaseDispatched, cases.CaseArrived], [(Kind.ARRIVED, REPORTER)]),
    ([cases.CaseDispatched, cases.CaseResolved], []),
    ([cases.CaseDispatched, cases.CaseVerified], []),
    ([cases.CaseDispatched, cases.CaseClosed], [(Kind.CLOSED, REPORTER)]),
    ([cases.CaseDispatched, cases.CaseCancelled], [(Kind.CANCELLED, REPORTER)]),
    ([cases.CaseDispatched, cases.CategoryChanged], []),
    ([cases.CaseDispatched, cases.LocationChanged], []),
    ([cases.CaseDispatched, cases.CaseNoted], []),
    ([cases.CaseDispatched, cases.CaseRated], []),
    ([cases.CaseDispatched, cases.CaseReturned], []),
    ([cases.CaseDispatched, cases.CaseReturned, cases.CaseUnplaced], []),
    ([cases.CaseDispatched, cases.CaseReopened], [(Kind.REOPENED, REPORTER)]),
    (
        [cases.CaseDispatched, cases.CaseReopened, cases.CaseDispatched],
        [(Kind.ASSIGNED, LEAD_1)],
    ),
    (
        [cases.CaseDispatched, cases.CaseReassigned],
        [(Kind.HANDED_OVER, LEAD_1), (Kind.ASSIGNED, LEAD_2)],
    ),
    ([cases.CaseDispatched, cases.ReportMerged], [(Kind.MERGED, FURTHER)]),
    (
        [cases.CaseDispatched, cases.ReportMerged, cases.CaseClosed],
        [(Kind.CLOSED, REPORTER), (Kind.CLOSED, FURTHER)],
    ),
    # A report that joins before the case was placed: that is news to the first reporter alone.
    ([cases.ReportMerged, cases.CaseUnplaced], [(Kind.RECEIVED, REPORTER)]),
    ([cases.CaseDispatched, cases.ReportMerged, cases.ReportSplit], []),
    (
        [cases.CaseDispatched, cases.ReportMerged, cases.ReportSplit, cases.CaseClosed],
        [(Kind.CLOSED, REPORTER)],
    ),
    # Who reported a case that ends by being merged is told by the case that he has joined.
    ([cases.CaseDispatched, cases.ReportMerged, cases.CaseMerged], []),
    (
        [cases.CaseDispatched, cases.ReportMerged, cases.CaseMerged, cases.CaseSplit],
        [(Kind.SPLIT, REPORTER)],
    ),
    (
        [cases.CaseDispatched, cases.CaseMerged, cases.CaseSplit, cases.CaseDispatched],
        [(Kind.ASSIGNED, LEAD_1)],
    ),
]


@pytest.mark.parametrize(
    ("kinds", "told"),
    TABLE,
    ids=lambda each: "-".join(str(getattr(k, "__name__", "")) for k in each),
)
def test_what_the_last_event_asks_for(kinds: list[type[CaseEvent]], told: Told) -> None:
    assert fold(*kinds)[1][-1] == told


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize("kinds", [kinds for kinds, _ in TABLE])
def test_the_audit_asks_for_the_same(kinds: list[type[CaseEvent]], reachable: bool) -> None:
    ledger: list[CaseEvent] = [registered(reachable=reachable)]
    ledger += [event(kind, seq) for seq, kind in enumerate(kinds, start=2)]
    _, told = fold(*kinds, reachable=reachable)
    assert asked_for(str(CASE), ledger) == {
        (str(CASE), seq, recipient)
        for seq, step in enumerate(told, start=2)
        for _, recipient in step
    }


def test_the_table_holds_every_event() -> None:
    inside = {kind for kinds, _ in TABLE for kind in kinds}
    known = set(CASE_EVENT_TYPES.values()) - {cases.CaseRegistered}
    assert inside == known


@pytest.mark.parametrize("kinds", [kinds for kinds, _ in TABLE])
def test_who_cannot_be_reached_is_not_written_to(kinds: list[type[CaseEvent]]) -> None:
    _, told = fold(*kinds, reachable=False)
    assert all(recipient != REPORTER for step in told for _, recipient in step)


def test_each_reporter_is_told_if_he_can_be_reached_and_his_report_is_no_history() -> None:
    case, _ = fold(cases.CaseDispatched, reachable=False)
    silent = event(cases.ReportMerged, 3, reporter_reachable=False)
    assert messages_for(case, silent) == []
    case = apply(case, silent, 0)
    past = event(cases.ReportMerged, 4, report_id=CASE, origin=Origin.IMPORT)
    case = apply(case, past, 1)
    asked = messages_for(case, event(cases.CaseAccepted, 5))
    assert [(each.recipient, each.origin) for each in asked] == [
        (f"reporter:{CASE}", Origin.IMPORT)
    ]


def test_a_report_joins_once_and_only_one_that_joined_leaves() -> None:
    case, _ = fold(cases.CaseDispatched, cases.ReportMerged)
    for contradiction in (
        event(cases.ReportMerged, 4),
        event(cases.ReportMerged, 4, report_id=case.report_id),
        event(cases.ReportSplit, 4, report_id=case.report_id),
    ):
        with pytest.raises(LedgerBroken):
            apply(case, contradiction, 0)


def test_what_stands_for_a_reporter() -> None:
    assert recipient_kind(FURTHER) is recipient_kind(REPORTER) is Recipient.REPORTER
    assert (merged_report_of(FURTHER), merged_report_of(REPORTER)) == (FURTHER_REPORT, None)
    assert lead_of(FURTHER) is None


def test_a_case_that_stays_with_its_lead_is_not_handed_over() -> None:
    case, _ = fold(cases.CaseDispatched)
    moved = event(cases.CaseReassigned, 3, lead=LI, previous_lead_id="L001")
    assert [(request.kind, request.recipient) for request in messages_for(case, moved)] == [
        (Kind.ASSIGNED, LEAD_1)
    ]


def test_texts_name_the_lead_of_their_time() -> None:
    case, _ = fold(cases.CaseDispatched)
    received = messages_for(first(registered()), event(cases.CaseDispatched, 2))[1]
    accepted = messages_for(case, event(cases.CaseAccepted, 3))[0]
    handed_over = messages_for(case, event(cases.CaseReassigned, 3))[0]
    assert received.lead == accepted.lead == LI.name
    assert handed_over.lead == WANG.name


def test_what_is_known_of_the_case() -> None:
    case, told = fold(cases.CaseDispatched, cases.CaseAccepted, cases.CaseReassigned)
    assert case.seq == 4
    assert case.asked == sum(map(len, told)) == 5
    assert (case.state, case.lead_id) == (CaseState.DISPATCHED, "L002")
    returned, _ = fold(cases.CaseDispatched, cases.CaseReturned, cases.CaseUnplaced)
    assert (returned.state, returned.lead_id, returned.lead) == (CaseState.UNPLACED, None, None)
    assert first(registered(origin=Origin.IMPORT)).origin is Origin.IMPORT


def test_a_message_is_the_same_at_every_repetition() -> None:
    one = message_id(CASE, 2, REPORTER)
    assert one == message_id(CASE, 2, REPORTER)
    assert len({one, message_id(CASE, 3, REPORTER), message_id(CASE, 2, LEAD_1)}) == 3
    assert 0 <= shard_of(CASE) < 12
