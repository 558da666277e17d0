"""Ratings of closings by their secret links: each is kept, so that a used link shows it, and sent
to `feedback`."""

from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.transactions import check_room, own_transaction
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.notify.adapters.feedback import feedback
from lastmetre.notify.adapters.postgres import asking
from lastmetre.notify.adapters.postgres import ratings as store
from lastmetre.notify.domain.case_projection import CaseProjection
from lastmetre.notify.domain.ratings import Closing, Rating, Verdict, closing_of

CONSUMER: Final = "ratings"


class FindRating:
    """What is known of the closing that a link is for."""

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

    async def __call__(self, closing: Closing) -> tuple[CaseProjection | None, Rating | None]:
        """The case, if its events have come here yet, and what was said already."""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            return (
                await asking.find_case(connection, closing.case_id),
                await store.rating(connection, closing),
            )


class GiveRating:
    """Rate a closing. The first rating of each reporter counts."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, closing: Closing, verdict: Verdict) -> tuple[Rating, bool]:
        """Keep and send a rating. Returns the one that counts, and whether it is this one.

        Raises Problem 503 while the outbox is over its limit.
        """
        check_room(self._host)
        async with own_transaction(self._host, CONSUMER) as work:
            rating = Rating(
                closing.case_id,
                closing.seq,
                closing.feedback_id,
                verdict.solved,
                verdict.score,
                verdict.reopen and not verdict.solved,
                work.now,
                report_id=closing.report_id,
            )
            if not await store.insert_rating(work.connection, rating):
                earlier = await store.rating(work.connection, closing)
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
                report_id=rating.report_id,
            )
            work.send(feedback(given, self._host.identities.traceparent()))
        return rating, True


class AskReopening:
    """Ask to take a case up again after having rated its closing; once for each reporter."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, closing: Closing) -> None:
        """Where he has not rated it nothing is asked: a rating can say the same.

        Raises Problem 503 while the outbox is over its limit.
        """
        check_room(self._host)
        async with own_transaction(self._host, CONSUMER) as work:
            rating = await store.rating(work.connection, closing)
            asks = rating and await store.ask_reopening(work.connection, closing, work.now)
            if rating is None or not asks:
                return
            asked = FeedbackGiven(
                case_id=closing.case_id,
                feedback_id=closing.reopening_id,
                closing=closing.seq,
                solved=False,
                score=rating.score,
                reopen=True,
                occurred_at=work.now,
                report_id=closing.report_id,
                rated_before=True,
            )
            work.send(feedback(asked, self._host.identities.traceparent()))


@dataclass(frozen=True, slots=True)
class Ratings:
    """The use cases of whoever holds a rating's link."""

    find: FindRating
    give: GiveRating
    reopen: AskReopening
