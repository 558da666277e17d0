"""Taking a rating: kept here, so that a used link shows it, and sent to `feedback`."""

from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.contracts.topics import FEEDBACK
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.notify.adapters.deliveries import SOURCE
from lastmetre.notify.adapters.postgres import asking, pages
from lastmetre.notify.adapters.postgres.pages import Rating
from lastmetre.notify.domain.case_projection import CaseProjection
from lastmetre.notify.domain.ratings import Closing, closing_of

FLOW: Final = "ratings"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reporter says about a closing. Only what is not solved can be taken up again."""

    solved: bool
    score: int
    reopen: bool


class Ratings:
    """The ratings of all closings, by secret link."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    def closing(self, token: str) -> Closing:
        """The closing that a link is for. Raises Problem 404 if we did not make it."""
        closing = closing_of(self._host.links.open(LinkPurpose.RATE, token))
        if closing is None:
            raise Problem(
                404,
                "/problems/unknown-link",
                N_("This link is not valid"),
                N_("Please open the whole link from the message that we sent you."),
            )
        return closing

    async def find(self, closing: Closing) -> tuple[CaseProjection | None, Rating | None]:
        """The case, if its events have come here yet, and what was said already."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return (
                await asking.find_case(connection, closing.case_id),
                await pages.rating(connection, closing.case_id, closing.seq),
            )

    def _check_room(self) -> None:
        if not self._host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )

    async def give(self, closing: Closing, verdict: Verdict) -> tuple[Rating, bool]:
        """Keep and send a rating. Returns the one that counts, and whether it is this one.

        Raises Problem 503 while the outbox is over its limit.
        """
        self._check_room()
        async with (
            self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._host.unit_of_work(connection, FLOW)
            rating = Rating(
                closing.case_id,
                closing.seq,
                closing.feedback_id,
                verdict.solved,
                verdict.score,
                verdict.reopen and not verdict.solved,
                work.now,
            )
            if not await pages.insert_rating(connection, rating):
                earlier = await pages.rating(connection, closing.case_id, closing.seq)
                assert earlier is not None
                return earlier, False
            given = FeedbackGiven(
                case_id=rating.case_id,
                feedback_id=rating.feedback_id,
                closing=rating.closing,
                solved=rating.solved,
                score=rating.score,
                reopen=rating.reopen,
                occurred_at=rating.given_at,
            )
            work.send(_feedback(given, self._host.identities.traceparent()))
            await work.flush()
        self._host.relay.wake()
        return rating, True

    async def reopen(self, closing: Closing) -> None:
        """Ask to take the case up again after the closing was rated; once, whoever asks how often.

        Where nobody has rated it nothing is asked: a rating can say the same.
        """
        self._check_room()
        async with (
            self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            work = self._host.unit_of_work(connection, FLOW)
            rating = await pages.rating(connection, closing.case_id, closing.seq)
            if rating is None or not await pages.ask_reopening(
                connection, closing.case_id, closing.seq, closing.reopening_id, work.now
            ):
                return
            asked = FeedbackGiven(
                case_id=closing.case_id,
                feedback_id=closing.reopening_id,
                closing=closing.seq,
                solved=False,
                score=rating.score,
                reopen=True,
                occurred_at=work.now,
            )
            work.send(_feedback(asked, self._host.identities.traceparent()))
            await work.flush()
        self._host.relay.wake()


def _feedback(given: FeedbackGiven, traceparent: str) -> OutboxMessage:
    return cloud_event(
        given,
        topic=FEEDBACK,
        key=str(given.case_id),
        event_id=str(given.feedback_id),
        source=SOURCE,
        occurred_at=given.occurred_at,
        recorded_at=given.occurred_at,
        traceparent=traceparent,
    )
