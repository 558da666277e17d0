"""The audit asks for the same messages as notify, whatever a ledger says: each has its own way."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lastmetre.audit.messages import asked_for
from lastmetre.common.contracts import cases
from lastmetre.common.contracts.case_model import EVENT_TYPES
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.notify.domain.case_projection import apply, first, messages_for
from tests.unit.notify.ledger import CASE, LI, WANG, event, registered

OTHERS = [UUID(int=7), UUID(int=8)]
KINDS = [kind for kind in EVENT_TYPES.values() if kind is not cases.CaseRegistered]


@st.composite
def ledgers(draw: st.DrawFn) -> list[CaseEvent]:
    """Events in any order, but that a report joins once before it leaves."""
    ledger: list[CaseEvent] = [registered(reachable=draw(st.booleans()))]
    joined: set[UUID] = set()
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=14)):
        seq = len(ledger) + 1
        report_id = draw(st.sampled_from(OTHERS))
        if kind is cases.ReportMerged:
            if report_id in joined:
                continue
            joined.add(report_id)
            reachable = draw(st.booleans())
            ledger.append(event(kind, seq, report_id=report_id, reporter_reachable=reachable))
        elif kind is cases.ReportSplit:
            if report_id not in joined:
                continue
            joined.remove(report_id)
            ledger.append(event(kind, seq, report_id=report_id))
        elif issubclass(kind, cases.Assignment):
            ledger.append(event(kind, seq, lead=draw(st.sampled_from([LI, WANG]))))
        else:
            if kind is cases.CaseMerged:
                joined.clear()
            ledger.append(event(kind, seq))
    return ledger


@given(ledgers())
def test_the_same_messages(ledger: list[CaseEvent]) -> None:
    case = first(ledger[0])
    wanted: set[tuple[str, int, str]] = set()
    for each in ledger[1:]:
        requests = messages_for(case, each)
        wanted |= {(str(CASE), each.seq, request.recipient) for request in requests}
        case = apply(case, each, len(requests))
    assert asked_for(str(CASE), ledger) == wanted
