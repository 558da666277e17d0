"""Actions and feedback: each answered once, in the transaction that changes the case."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.contracts.cases import CaseEvent
from common.contracts.requests import ActionAnswered, ActionRequested, FeedbackGiven
from common.contracts.topics import CASE_EVENTS, FIELD_OUTCOMES
from common.runtime.records import Record, cloud_event
from common.runtime.work import UnitOfWork
from dispatch.domain.case import Case
from dispatch.domain.decide import Decision, Refusal, decide, decide_feedback
from dispatch.domain.network import Network
from dispatch.network import SOURCE
from dispatch.store import cases as store
from dispatch.store.cases import Answer

KNOWN_WITHIN: Final = timedelta(minutes=10)
"""How long an action may wait for its case to become known."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An action or a feedback, with the record that it came in, if it came in one."""

    request: ActionRequested | FeedbackGiven
    record: Record | None
    traceparent: str

    @property
    def request_id(self) -> UUID:
        """The request's own id."""
        request = self.request
        return request.action_id if isinstance(request, ActionRequested) else request.feedback_id

    @property
    def kind(self) -> str:
        """What was asked for."""
        request = self.request
        return request.action.value if isinstance(request, ActionRequested) else "feedback"


def tell(work: UnitOfWork, events: Sequence[CaseEvent], traceparent: str) -> None:
    """Put entries of the ledger onto their topic."""
    for event in events:
        key = str(event.case_id)
        work.send(
            cloud_event(
                event,
                topic=CASE_EVENTS,
                key=key,
                event_id=f"{key}:{event.seq}",
                source=SOURCE,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                traceparent=traceparent,
            )
        )


class _Answers:
    """What a batch of requests has come to so far."""

    def __init__(
        self,
        work: UnitOfWork,
        network: Network,
        cases: dict[UUID, Case],
        given: dict[UUID, Answer],
    ) -> None:
        self._work = work
        self._network = network
        self._cases = cases
        self.given = given
        self.new: list[Answer] = []
        self.events: list[CaseEvent] = []
        self.changed: dict[UUID, Case] = {}

    def knows(self, asked: Asked) -> bool:
        """Whether this can be answered now."""
        return asked.request_id in self.given or asked.request.case_id in self._cases

    def answer(self, asked: Asked) -> None:
        """Decide, unless it was decided before."""
        answer = self.given.get(asked.request_id)
        if answer is None:
            answer = self._decide(asked)
            self.given[asked.request_id] = answer
            self.new.append(answer)
        tell_outcome(self._work, asked, answer)

    def _decide(self, asked: Asked) -> Answer:
        request, now = asked.request, self._work.now
        case = self._cases[request.case_id]
        decision: Decision | Refusal
        if isinstance(request, ActionRequested):
            decision = decide(case, request, network=self._network, now=now)
        else:
            decision = decide_feedback(case, request, network=self._network, now=now)
        if isinstance(decision, Refusal):
            return Answer(
                asked.request_id, case.case_id, asked.kind, decision.reason, case.seq, now
            )
        self._cases[case.case_id] = decision.case
        self.changed[case.case_id] = decision.case
        self.events.extend(decision.events)
        tell(self._work, decision.events, asked.traceparent)
        return Answer(asked.request_id, case.case_id, asked.kind, None, decision.case.seq, now)

    async def write(self) -> None:
        """All of it in three statements."""
        connection = self._work.connection
        if self.changed:
            await store.update_cases(connection, list(self.changed.values()))
            await store.append_ledger(connection, self.events)
        if self.new:
            await store.insert_answers(connection, self.new)


async def answer_all(
    work: UnitOfWork, network: Network, asked: Sequence[Asked]
) -> tuple[dict[UUID, Answer], list[Asked]]:
    """Answer what can be answered; returns the answers and those whose case is not known."""
    if not asked:
        return {}, []
    given = await store.answers(work.connection, [each.request_id for each in asked])
    cases = await store.lock_cases(work.connection, {each.request.case_id for each in asked})
    answers = _Answers(work, network, cases, given)
    unknown: list[Asked] = []
    for each in asked:
        if answers.knows(each):
            answers.answer(each)
        else:
            unknown.append(each)
    await answers.write()
    return answers.given, unknown


def tell_outcome(work: UnitOfWork, asked: Asked, answer: Answer) -> None:
    """Answer an action on `field.outcomes`; a feedback is answered by the ledger alone."""
    if not isinstance(asked.request, ActionRequested):
        return
    key = str(answer.case_id)
    message = ActionAnswered.model_validate(
        {
            "case_id": answer.case_id,
            "action_id": answer.request_id,
            "action": asked.request.action,
            "done": answer.refusal is None,
            "refusal": answer.refusal,
            "seq": answer.seq,
            "answered_at": answer.answered_at,
        }
    )
    work.send(
        cloud_event(
            message,
            topic=FIELD_OUTCOMES,
            key=key,
            event_id=str(answer.request_id),
            source=SOURCE,
            occurred_at=answer.answered_at,
            recorded_at=work.now,
            traceparent=asked.traceparent,
        )
    )


async def refuse_unknown(work: UnitOfWork, asked: Sequence[Asked], now: datetime) -> None:
    """Their cases never came: refused, with that reason."""
    given = await store.answers(work.connection, [each.request_id for each in asked])
    new: dict[UUID, Answer] = {}
    for each in asked:
        answer = given.get(each.request_id) or new.get(each.request_id)
        if answer is None:
            answer = new[each.request_id] = Answer(
                each.request_id, each.request.case_id, each.kind, "unknown_case", 0, now
            )
        tell_outcome(work, each, answer)
    await store.insert_answers(work.connection, new.values())
