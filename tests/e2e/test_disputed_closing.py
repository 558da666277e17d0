"""A closing that its reporter rates and then disputes, and a report that he adds to: the books hold
what came of both."""

from uuid import uuid4

from lastmetre.common.security.signed_links import LinkPurpose, rating_identity
from lastmetre.devstack import Stack
from tests.support import books
from tests.support.city import City

INSIDE = {"latitude": 23.05, "longitude": 113.05}
CLOSING = 5


async def test_a_rated_closing_is_taken_up_again_and_the_books_balance(stack: Stack) -> None:
    async with City(stack.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.import_network()
        receipt = await city.report(f"disputed-{uuid4()}")
        case_id = await city.case_of(receipt)
        (await city.act(case_id, "resolve")).raise_for_status()
        (await city.rate(case_id, CLOSING, score=5)).raise_for_status()
        link = city.links.seal(LinkPurpose.RATE, rating_identity(case_id, CLOSING))
        for _ in range(2):
            asked = await city.http.post(city.url("notify", f"/rate/{link}/reopen"))
            assert asked.status_code == 303

        async def reopened() -> bool:
            return (await city.ledger(case_id))[-2:] == ["reopened", "dispatched"]

        await city.until(reopened, "case that was taken up again")
        assert (await city.ledger(case_id)).count("rated") == 1

        async def open_again() -> bool:
            seen = await city.http.get(city.url("intake", f"/cases/{receipt}"))
            return bool(seen.json()["state"] == "dispatched")

        await city.until(open_again, "reopened case in intake's view")
        identity = city.links.open(LinkPurpose.RECEIPT, receipt)
        assert identity is not None
        progress = f"/progress/{city.links.seal(LinkPurpose.PROGRESS, identity)}"
        added = await city.http.post(city.url("intake", progress), data={"note": "还是不亮"})
        assert added.status_code == 303

        async def shown() -> bool:
            return "还是不亮" in (await city.http.get(city.url("intake", progress))).text

        await city.until(shown, "note on the progress page")
        assert not await books.quiet(stack.endpoints)
        balance = await books.balance(stack.endpoints, None)
        about = {"channels", "feedback", "ratings", "feedback_told", "feedback_refused"}
        lines = {line.name: line for line in balance if line.name in about}
        assert {name: line.differences for name, line in lines.items() if not line.balanced} == {}
        assert "ratings" in lines
