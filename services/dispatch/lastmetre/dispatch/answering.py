"""Actions and feedback: each answered once, in the transaction that changes the case."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.requests import (
    ActionAnswered,
    ActionRequested,
    FeedbackGiven,
    RefusalReason,
)
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_OUTCOMES
from lastmetre.common.kafka.codec import ConsumedRecord, cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.dispatch.domain.case import Case
from lastmetre.dispatch.domain.decide import Decision, Refusal, decide, decide_feedback
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.network import SOURCE
from lastmetre.dispatch.store import cases as store
from lastmetre.dispatch.store.cases import Answer

KNOWN_WITHIN: Final = timedelta(minutes=10)
"""How long an action may wait for its case to become known."""

MEANING_BYTES: Final = 16


class Asked(NamedTuple):
    """An action or a feedback, with the record that it came in, if it came in one."""

    request: ActionRequested | FeedbackGiven
    record: ConsumedRecord | None
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

    @property
    def meaning(self) -> bytes:
        """Tells a repetition from something else that is asked under the same id.

        Who asks for what on which case; when it happened and what was seen may differ.
        """
        request = self.request
        said: tuple[object, ...]
        if isinstance(request, ActionRequested):
            said = (
                request.actor.role.value,
                request.actor.id,
                request.area_id,
                request.return_reason,
                request.cancel_reason,
            )
        else:
            said = (request.closing, request.solved, request.score, request.reopen)
        text = f"{request.case_id} {self.kind} {said}"
        return hashlib.blake2b(text.encode(), digest_size=MEANING_BYTES).digest()


def tell(work: UnitOfWork, events: Sequence[CaseEvent], traceparent: str) -> None:
    """Put entries of one case's ledger onto their topic."""
    key = str(events[0].case_id)
    for event in events:
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
        self._given = given
        self.new: list[Answer] = []
        self.events: list[CaseEvent] = []
        self.changed: dict[UUID, Case] = {}

    def knows(self, asked: Asked) -> bool:
        """Whether this can be answered now."""
        return asked.request_id in self._given or asked.request.case_id in self._cases

    def answer(self, asked: Asked) -> Answer:
        """Decide, unless it was decided before."""
        answer = self._given.get(asked.request_id)
        if answer is None:
            answer = self._given[asked.request_id] = self._decide(asked)
            self.new.append(answer)
        else:
            case = self._cases.get(asked.request.case_id)
            answer = again(asked, answer, case.seq if case else 0, self._work.now)
        tell_outcome(self._work, asked, answer)
        return answer

    def _decide(self, asked: Asked) -> Answer:
        request, now = asked.request, self._work.now
        case = self._cases[request.case_id]
        decision: Decision | Refusal
        if isinstance(request, ActionRequested):
            decision = decide(case, request, network=self._network, now=now)
        else:
            decision = decide_feedback(case, request, network=self._network, now=now)
        if isinstance(decision, Refusal):
            return refused(asked, decision.reason, case.seq, now)
        self._cases[case.case_id] = decision.case
        self.changed[case.case_id] = decision.case
        self.events.extend(decision.events)
        tell(self._work, decision.events, asked.traceparent)
        return Answer(
            asked.request_id,
            case.case_id,
            asked.kind,
            None,
            decision.case.seq,
            now,
            asked.meaning,
        )

    async def write(self) -> None:
        """All of it in three statements."""
        connection = self._work.connection
        if self.changed:
            await store.update_cases(connection, list(self.changed.values()))
            await store.append_ledger(connection, self.events)
        if self.new:
            await store.insert_answers(connection, self.new)


def refused(asked: Asked, reason: RefusalReason, seq: int, now: datetime) -> Answer:
    """What is answered to something that is not done; `seq` is the case's last one, or 0."""
    return Answer(
        asked.request_id, asked.request.case_id, asked.kind, reason, seq, now, asked.meaning
    )


def again(asked: Asked, given: Answer, seq: int, now: datetime) -> Answer:
    """The answer that was given under this id; refused if it was given to something else."""
    if given.kind == asked.kind and given.meaning in (asked.meaning, None):
        return given
    return refused(asked, "action_id_used", seq, now)


async def answer_all(
    work: UnitOfWork, network: Network, asked: Sequence[Asked]
) -> tuple[list[Answer], list[Asked]]:
    """Answer what can be answered, in order; returns the answers, and whose case is not known."""
    if not asked:
        return [], []
    cases = await store.lock_cases(work.connection, {each.request.case_id for each in asked})
    # Behind the locks: what was asked twice at once has its first answer by now.
    given = await store.answers(work.connection, [each.request_id for each in asked])
    answers = _Answers(work, network, cases, given)
    told: list[Answer] = []
    unknown: list[Asked] = []
    for each in asked:
        if answers.knows(each):
            told.append(answers.answer(each))
        else:
            unknown.append(each)
    await answers.write()
    return told, unknown


def tell_outcome(work: UnitOfWork, asked: Asked, answer: Answer) -> None:
    """Answer an action on `field.outcomes`; a feedback is answered by the ledger alone."""
    if not isinstance(asked.request, ActionRequested):
        return
    key = str(answer.case_id)
    message = ActionAnswered.model_validate(
        {
            "case_id": answer.case_id,
            "action_id": answer.request_id,
            "action": answer.kind,
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
    new: list[Answer] = []
    for each in asked:
        known = given.get(each.request_id)
        if known is None:
            answer = given[each.request_id] = refused(each, "unknown_case", 0, now)
            new.append(answer)
        else:
            answer = again(each, known, 0, now)
        tell_outcome(work, each, answer)
    await store.insert_answers(work.connection, new)
