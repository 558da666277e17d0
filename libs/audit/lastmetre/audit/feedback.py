"""Feedback: what a resident was thanked for has its effect in the ledger."""

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import ConsistentCut
from lastmetre.audit.partition_view import PartitionView
from lastmetre.audit.snapshot import Row
from lastmetre.common.contracts.cases import CaseRated, CaseReopened
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.contracts.topics import FEEDBACK


def check_refused(
    cut: ConsistentCut,
    balance: Balance,
    partition_view: PartitionView,
    answers: dict[str, Row],
    thanked: set[str],
) -> None:
    """Name feedback that dispatch refused, or that something else under its id has shadowed.

    `answers` are dispatch's to feedback, never to an action of the same id. Who is in `thanked` was
    told that his rating arrived: refusing it is an error, whatever the reason.
    """
    line = balance.line("feedback_refused")
    place = FEEDBACK, partition_view.partition
    flow, position = READERS["dispatch"][FEEDBACK], cut.position(cut.dispatch, place)
    in_ledger = effects(partition_view)
    first: dict[str, FeedbackGiven] = {}
    for observed in partition_view.feedback:
        given, identity = observed.message, str(observed.message.feedback_id)
        if not 0 <= observed.offset < position or (flow, place, observed.offset) in (
            cut.dispatch.dead | cut.dispatch.parked
        ):
            continue
        if first.setdefault(identity, given) != given:
            line.expected["refused"] += 1
            line.differ(identity, "was given again with other contents: those had no effect")
            continue
        answer = answers.get(identity)
        if answer is None:
            continue  # The line of feedback below dispatch's position names it.
        if answer["case_id"] != given.case_id:
            line.differ(identity, f"was answered as feedback on {answer['case_id']}")
        elif answer["refusal"] is not None:
            line.expected["refused"] += 1
            if identity in thanked:
                line.differ(identity, f"was refused as {answer['refusal']}, its giver was thanked")
            else:
                line.actual[answer["refusal"]] += 1
        elif (event := in_ledger.get(identity)) and _differs(event, given):
            line.differ(identity, "is rated otherwise in the ledger than it was given")


def effects(partition_view: PartitionView) -> dict[str, CaseRated | CaseReopened]:
    """What feedback has brought about in the ledgers, by its id.

    A rating, or, of a closing that was rated before, that the case was taken up again.
    """
    return {
        str(event.feedback_id): event
        for ledger in partition_view.ledgers.values()
        for observed in ledger.events.values()
        if isinstance(event := observed.message, CaseRated | CaseReopened) and event.feedback_id
    }


def _differs(event: CaseRated | CaseReopened, given: FeedbackGiven) -> bool:
    """Whether the event is no effect of what was given."""
    if (event.case_id, event.closing) != (given.case_id, given.closing):
        return True
    if isinstance(event, CaseReopened):
        return given.solved or not given.reopen
    said = given.solved, given.score, given.report_id
    return (event.solved, event.score, event.report_id) != said
