"""One report through all four services, as its reporter, its lead and a supervisor see it."""

import uuid
from pathlib import Path

from lastmetre.common.security.callers import Role
from tests.support.city import City

PHONE = "13800138000"


async def test_from_the_report_to_the_rating(city: City, outbox: Path) -> None:
    await city.import_network()
    source_id = f"way-{uuid.uuid4()}"
    contact = {"name": "陈先生", "phone": PHONE}
    receipt = await city.report(source_id, contact=contact)
    assert await city.report(source_id, contact=contact) == receipt  # sent again: the same receipt
    case_id = await city.case_of(receipt)

    for action in ("accept", "arrive", "resolve"):
        assert (await city.act(case_id, action)).status_code == 200
    again = await city.act(case_id, "resolve")
    assert (again.status_code, again.json()["state"]) == (409, "closed")
    assert await city.ledger(case_id) == [
        "registered", "dispatched", "accepted", "arrived", "resolved", "verified", "closed",
    ]  # fmt: skip

    async def told() -> list[str]:
        files = [file for file in outbox.rglob("*.txt") if str(case_id) in file.read_text()]
        kinds = sorted(file.name.split("-reporter-")[1].split("-")[0]
                       for file in files if "-reporter-" in file.name)  # fmt: skip
        return kinds if len(kinds) == 4 else []

    assert await city.until(told, "four messages") == ["accepted", "arrived", "closed", "received"]

    assert (await city.rate(case_id, 7, score=4)).is_success

    async def rated() -> bool:
        return (await city.ledger(case_id))[-1] == "rated"

    await city.until(rated, "rating in the ledger")

    async def seen() -> dict[str, object] | None:
        answer = await city.http.get(city.url("intake", f"/cases/{receipt}"))
        document: dict[str, object] = answer.json()
        return document if document["seq"] == 8 else None

    view = await city.until(seen, "view of the whole ledger")
    assert view["state"] == "closed"
    assert PHONE not in str(view)


async def test_a_report_without_a_place_waits_for_the_centre(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"nowhere-{uuid.uuid4()}", position=None)
    assert await city.state(case_id) == (2, "unplaced")
    refused = await city.act(case_id, "accept")
    assert refused.status_code in (403, 409)
    placed = await city.act(case_id, "place", Role.OPERATOR, expected_seq=2, area_id="A1")
    assert placed.status_code == 200
    stale = await city.act(case_id, "cancel", Role.OPERATOR, expected_seq=2, cancel_reason="x")
    assert stale.status_code == 409
    assert [line["type"].split(".")[2] for line in stale.json()["meanwhile"]] == ["dispatched"]
    assert (await city.act(case_id, "accept", lead_id="L1")).status_code == 200
