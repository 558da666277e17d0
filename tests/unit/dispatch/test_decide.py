"""What may become of a case, as a table."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.base import Actor, ActorRole, Channel, Language, Origin, Position
from lastmetre.common.contracts.case_model import Case, apply, begin
from lastmetre.common.contracts.cases import CaseRegistered, CaseState, LocalName, PublishedLead
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.contracts.requests import Action, ActionRequested, FeedbackGiven
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.decide import decide, register
from lastmetre.dispatch.domain.decision import Decision, Refusal
from lastmetre.dispatch.domain.network import Answering, Area, Network
from lastmetre.dispatch.domain.times import told_late

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE = UUID("01936f00-0000-7000-8000-000000000001")


def lead(name: str) -> PublishedLead:
    local = LocalName(zh=name, en=name)
    return PublishedLead(lead_id=name, name=local, post=local)


def square(area_id: str, west: float, lead_id: str | None) -> Area:
    ring = [[west, 0.0], [west + 1, 0.0], [west + 1, 1.0], [west, 1.0], [west, 0.0]]
    outline = {"type": "Polygon", "coordinates": [ring]}
    name = LocalName(zh=area_id, en=area_id)
    return Area(area_id, name, None, outline, lead(lead_id) if lead_id else None)


NETWORK = Network(
    3, [square("east", 1.0, "li"), square("west", 0.0, "wang"), square("idle", 5.0, None)]
)


def report(position: Position | None, origin: Origin = Origin.LIVE) -> ReportAccepted:
    return ReportAccepted(
        report_id=UUID("01936f00-0000-7000-8000-0000000000aa"),
        channel=Channel.APP,
        origin=origin,
        category="matter:06010",
        reported_at=NOW - timedelta(minutes=10),
        received_at=NOW,
        position=position,
        reporter_reachable=True,
        language=Language.CHINESE,
    )


def registered(position: Position | None = None, origin: Origin = Origin.LIVE) -> Decision:
    known = report(position, origin)
    (who,) = NETWORK.answering([(known.position, None, None)])
    return register(
        known, case_id=CASE, number="261122-0001", answering=who, network_version=3, now=NOW
    )


IN_EAST = Position(latitude=0.5, longitude=1.5)
LI = Actor(role=ActorRole.LEAD, id="li")
WANG = Actor(role=ActorRole.LEAD, id="wang")
OPERATOR = Actor(role=ActorRole.OPERATOR, id="zhou")
SUPERVISOR = Actor(role=ActorRole.SUPERVISOR, id="qian")


def ask(action: Action, actor: Actor, **facts: Any) -> ActionRequested:
    return ActionRequested(
        case_id=CASE,
        action_id=UUID(int=random.getrandbits(128)),
        action=action,
        actor=actor,
        occurred_at=facts.pop("occurred_at", NOW),
        **facts,
    )


def names(decision: Decision | Refusal) -> list[str]:
    assert isinstance(decision, Decision), decision
    return [type(event).__name__ for event in decision.events]


def decided_on(case: Case, request: ActionRequested | FeedbackGiven) -> Decision | Refusal:
    return decide(case, Command(request, ""), network=NETWORK, now=NOW)


def after(case: Case, *steps: ActionRequested | FeedbackGiven) -> Case:
    for step in steps:
        known = decided_on(case, step)
        assert isinstance(known, Decision), (step, known)
        case = known.case
    return case


ACCEPT = ask(Action.ACCEPT, LI)
ARRIVE = ask(Action.ARRIVE, LI)
RESOLVE = ask(Action.RESOLVE, LI)


@pytest.mark.parametrize(
    ("position", "state", "reason", "lead_id"),
    [
        (IN_EAST, CaseState.DISPATCHED, None, "li"),
        (Position(latitude=0.5, longitude=0.5), CaseState.DISPATCHED, None, "wang"),
        (None, CaseState.UNPLACED, "no_position", None),
        (Position(latitude=9, longitude=9), CaseState.UNPLACED, "outside_every_area", None),
        (Position(latitude=0.5, longitude=5.5), CaseState.UNPLACED, "area_without_lead", None),
    ],
)
def test_a_report_is_placed_or_waits_with_the_reason(
    position: Position | None, state: CaseState, reason: str | None, lead_id: str | None
) -> None:
    case = registered(position).case
    assert (case.state, case.unplaced_reason, case.lead_id, case.seq) == (state, reason, lead_id, 2)


def test_21_how_exact_the_place_is_goes_into_the_ledger() -> None:
    told = report(None).model_copy(update={"accuracy_metres": 3000.0})
    nobody = Answering(None)
    decision = register(
        told, case_id=CASE, number="1", answering=nobody, network_version=1, now=NOW
    )
    first = decision.events[0]
    assert isinstance(first, CaseRegistered)
    assert first.reported_accuracy_metres == decision.case.within_metres == 3000


def test_the_whole_way() -> None:
    case = registered(IN_EAST).case
    case = after(case, ACCEPT, ARRIVE)
    assert case.state is CaseState.ON_SITE
    resolved = decided_on(case, RESOLVE)
    assert names(resolved) == ["CaseResolved", "CaseVerified", "CaseClosed"]
    assert isinstance(resolved, Decision)
    assert resolved.case.closings == (7,)


REPORTED = NOW - timedelta(minutes=10)


def history(
    *steps: ActionRequested | FeedbackGiven,
    position: Position | None = IN_EAST,
    reported_at: datetime = REPORTED,
) -> Case:
    return after(registered(position).case._replace(reported_at=reported_at), *steps)


PLACE_WEST = ask(Action.PLACE, OPERATOR, area_id="west", expected_seq=2)
CANCEL = ask(Action.CANCEL, OPERATOR, cancel_reason="not_for_the_city", expected_seq=2)

REFUSED: Sequence[tuple[str, Case, ActionRequested, str]] = [
    ("accept twice", history(ACCEPT), ACCEPT, "not_allowed_in_state"),
    ("arrive before accepting", history(), ARRIVE, "not_allowed_in_state"),
    ("somebody else's case", history(), ask(Action.ACCEPT, WANG), "not_your_case"),
    ("the old lead after reassigning", history(PLACE_WEST), ACCEPT, "not_your_case"),
    ("accept after cancelling", history(CANCEL), ACCEPT, "not_allowed_in_state"),
    ("resolve after returning", history(
        ask(Action.RETURN, LI, return_reason="wrong_area", expected_seq=2)), RESOLVE,
        "not_your_case"),
    ("an operator cannot accept", history(), ask(Action.ACCEPT, OPERATOR), "not_allowed_for_role"),
    ("a lead cannot cancel", history(),
     ask(Action.CANCEL, LI, cancel_reason="x", expected_seq=2), "not_allowed_for_role"),
    ("cancel without having looked", history(),
     ask(Action.CANCEL, OPERATOR, cancel_reason="x"), "expected_seq_missing"),
    ("cancel of what was not seen", history(ACCEPT), CANCEL, "case_has_moved_on"),
    ("cancel without a reason", history(),
     ask(Action.CANCEL, OPERATOR, expected_seq=2), "reason_missing"),
    ("return without a reason", history(),
     ask(Action.RETURN, LI, expected_seq=2), "reason_missing"),
    ("place nowhere", history(position=None),
     ask(Action.PLACE, OPERATOR, expected_seq=2), "area_missing"),
    ("place on the moon", history(position=None),
     ask(Action.PLACE, OPERATOR, area_id="moon", expected_seq=2), "area_unknown"),
    ("place with nobody", history(position=None),
     ask(Action.PLACE, OPERATOR, area_id="idle", expected_seq=2), "area_without_lead"),
    ("tomorrow", history(), ask(Action.ACCEPT, LI, occurred_at=NOW + timedelta(days=1)),
     "happens_in_the_future"),
    ("in 1999", history(ACCEPT),
     ask(Action.ARRIVE, LI, occurred_at=NOW.replace(year=1999)), "happens_before_the_last_step"),
    ("before it was reported", history(),
     ask(Action.ACCEPT, LI, occurred_at=REPORTED - timedelta(minutes=6)),
     "happens_before_the_last_step"),
    ("before the step before", history(ACCEPT),
     ask(Action.ARRIVE, LI, occurred_at=NOW - timedelta(minutes=6)),
     "happens_before_the_last_step"),
    ("reopened before it was closed", history(RESOLVE),
     ask(Action.REOPEN, SUPERVISOR, expected_seq=5, occurred_at=NOW - timedelta(minutes=6)),
     "happens_before_the_last_step"),
    ("a week later", history(reported_at=NOW - timedelta(days=30)),
     ask(Action.ACCEPT, LI, occurred_at=NOW - timedelta(days=7, seconds=1)),
     "happened_too_long_ago"),
    ("somebody else's case, with what he has not seen", history(ACCEPT),
     ask(Action.RETURN, WANG, return_reason="not_found", expected_seq=2), "not_your_case"),
    ("somebody else's case that is cancelled", history(CANCEL), ask(Action.ACCEPT, WANG),
     "not_your_case"),
    ("reopen what is open", history(),
     ask(Action.REOPEN, SUPERVISOR, expected_seq=2), "not_allowed_in_state"),
    ("a lead resolves the unplaced", history(position=None), RESOLVE, "not_your_case"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "request_", "reason"),
    [each[1:] for each in REFUSED],
    ids=[each[0] for each in REFUSED],
)
def test_refused_with_the_reason(case: Case, request_: ActionRequested, reason: str) -> None:
    assert decided_on(case, request_) == Refusal(reason)  # type: ignore[arg-type]


ALLOWED: Sequence[tuple[str, Case, ActionRequested, list[str]]] = [
    ("resolve at once", history(), RESOLVE, ["CaseResolved", "CaseVerified", "CaseClosed"]),
    ("return", history(ACCEPT), ask(Action.RETURN, LI, return_reason="not_found", expected_seq=3),
     ["CaseReturned", "CaseUnplaced"]),
    ("place by hand", history(position=None), PLACE_WEST, ["CaseDispatched"]),
    ("reassign", history(), PLACE_WEST, ["CaseReassigned"]),
    ("the new lead accepts", history(PLACE_WEST), ask(Action.ACCEPT, WANG), ["CaseAccepted"]),
    ("close from the queue", history(position=None), ask(Action.RESOLVE, OPERATOR),
     ["CaseResolved", "CaseVerified", "CaseClosed"]),
    ("reopen", history(RESOLVE), ask(Action.REOPEN, SUPERVISOR, expected_seq=5),
     ["CaseReopened", "CaseDispatched"]),
    ("reopen from the queue", history(ask(Action.RESOLVE, OPERATOR), position=None),
     ask(Action.REOPEN, OPERATOR, expected_seq=5), ["CaseReopened", "CaseUnplaced"]),
    ("on the spot, before the report came to us", history(),
     ask(Action.RESOLVE, LI, occurred_at=REPORTED), ["CaseResolved", "CaseVerified", "CaseClosed"]),
    ("a terminal's clock runs behind", history(ACCEPT),
     ask(Action.ARRIVE, LI, occurred_at=NOW - timedelta(minutes=4)), ["CaseArrived"]),
    ("offline for a week", history(reported_at=NOW - timedelta(days=30)),
     ask(Action.ACCEPT, LI, occurred_at=NOW - timedelta(days=7)), ["CaseAccepted"]),
    # Somebody else's report joined meanwhile: that is no step that an action could come before.
    ("before the placing, and a report has joined", history()._replace(seq=3, merged=(CASE,)),
     ask(Action.ACCEPT, LI, occurred_at=REPORTED), ["CaseAccepted"]),
    ("a terminal's clock runs ahead", history(),
     ask(Action.ACCEPT, LI, occurred_at=NOW + timedelta(minutes=4)), ["CaseAccepted"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "request_", "events"), [each[1:] for each in ALLOWED], ids=[e[0] for e in ALLOWED]
)
def test_done(case: Case, request_: ActionRequested, events: list[str]) -> None:
    assert names(decided_on(case, request_)) == events


def rating(closing: int, *, solved: bool = True, reopen: bool = False) -> FeedbackGiven:
    return FeedbackGiven(
        case_id=CASE,
        feedback_id=UUID(int=closing),
        closing=closing,
        solved=solved,
        score=4 if solved else 1,
        reopen=reopen,
        occurred_at=NOW,
    )


REOPEN = ask(Action.REOPEN, SUPERVISOR, expected_seq=5)


@pytest.mark.parametrize(
    ("case", "feedback", "result"),
    [
        (history(RESOLVE), rating(5), ["CaseRated"]),
        (history(RESOLVE), rating(4), Refusal("not_this_closing")),
        (history(ACCEPT), rating(3), Refusal("not_this_closing")),
        (history(RESOLVE, rating(5)), rating(5), Refusal("already_rated")),
        # B9: whoever has rated it, even as solved, may still ask to take it up again, once.
        (history(RESOLVE, rating(5)), rating(5, solved=False, reopen=True),
         ["CaseReopened", "CaseDispatched"]),
        (history(RESOLVE, rating(5), rating(5, solved=False, reopen=True)),
         rating(5, solved=False, reopen=True), Refusal("already_rated")),
        (history(RESOLVE, rating(5)), rating(5, solved=False), Refusal("already_rated")),
        (history(RESOLVE), rating(5, solved=False, reopen=True),
         ["CaseRated", "CaseReopened", "CaseDispatched"]),
        (history(RESOLVE), rating(5, solved=True, reopen=True), ["CaseRated"]),
        # The first closing's rating comes after it was reopened, and after the second closing.
        (history(RESOLVE, REOPEN), rating(5, solved=False, reopen=True), ["CaseRated"]),
        (history(RESOLVE, REOPEN, RESOLVE), rating(5, solved=False, reopen=True), ["CaseRated"]),
        (history(RESOLVE, REOPEN, RESOLVE, rating(5)), rating(10), ["CaseRated"]),
    ],
)  # fmt: skip
def test_a_rating_judges_the_closing_it_names(
    case: Case, feedback: FeedbackGiven, result: list[str] | Refusal
) -> None:
    decided = decided_on(case, feedback)
    assert decided == result if isinstance(result, Refusal) else names(decided) == result


def test_machine_steps_of_history_inherit_the_time_of_their_cause() -> None:
    then = NOW - timedelta(days=3000)
    begun = registered(IN_EAST, Origin.IMPORT)
    assert {event.occurred_at for event in begun.events} == {NOW - timedelta(minutes=10)}
    closed = decided_on(begun.case, ask(Action.RESOLVE, LI, occurred_at=then))
    assert isinstance(closed, Decision)
    assert {event.occurred_at for event in closed.events} == {then}
    assert {event.recorded_at for event in closed.events} == {NOW}


@given(st.lists(st.sampled_from(list(Action)), max_size=12), st.data())
def test_the_ledger_alone_tells_the_case(actions: list[Action], data: st.DataObject) -> None:
    """Whatever is asked, seq counts up by one and a fold of the events gives the same case."""
    begun = registered(data.draw(st.sampled_from([IN_EAST, None])))
    events, case = list(begun.events), begun.case
    for action in actions:
        request = ask(
            action,
            data.draw(st.sampled_from([LI, WANG, OPERATOR, SUPERVISOR])),
            expected_seq=case.seq,
            area_id=data.draw(st.sampled_from(["east", "west", "idle", None])),
            return_reason="not_found",
            cancel_reason="x",
        )
        decided = decided_on(case, request)
        if isinstance(decided, Decision):
            events += decided.events
            case = decided.case
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    folded = begin(events[0])
    for event in events[1:]:
        folded = apply(folded, event)
    assert folded == case


@pytest.mark.parametrize(
    ("minutes", "origin", "late"),
    [(0, Origin.LIVE, False), (15, Origin.LIVE, False), (16, Origin.LIVE, True),
     (16, Origin.IMPORT, False)],
)  # fmt: skip
def test_what_is_told_late_is_counted_apart(minutes: int, origin: Origin, late: bool) -> None:
    case = registered(IN_EAST, origin).case
    asked = ask(Action.ACCEPT, LI, occurred_at=NOW - timedelta(minutes=minutes))
    assert told_late(case, Command(asked, ""), NOW) is late
    assert not told_late(case, Command(rating(5), ""), NOW + timedelta(days=1))
