"""Steps that can be taken back: decided once, when they are due; refused if the case moved on."""

import uuid
from typing import Any

import httpx

from lastmetre.common.security.callers import Role
from tests.support.city import City, inside


async def ask(city: City, case_id: uuid.UUID, **body: Any) -> httpx.Response:
    """As a lead's page asks."""
    return await city.http.post(
        city.url("dispatch", f"/work/cases/{case_id}/actions/held"),
        json=body,
        headers=city.bearer(Role.LEAD, "L0"),
    )


async def take_back(city: City, action_id: str, lead_id: str) -> int:
    answer = await city.http.post(
        city.url("dispatch", f"/work/held/{action_id}"), headers=city.bearer(Role.LEAD, lead_id)
    )
    return answer.status_code


async def new_case(city: City) -> uuid.UUID:
    await city.import_network()
    return await city.new_case(f"held-{uuid.uuid4()}", position=inside(0))


async def test_a_step_is_decided_once_when_it_is_due(city: City) -> None:
    case_id, action_id = await new_case(city), str(uuid.uuid4())
    for _ in range(2):
        answer = await ask(city, case_id, action="resolve", action_id=action_id)
        assert answer.status_code == 202
        assert answer.json()["action_id"] == action_id
    assert (await city.state(case_id))[1] == "dispatched"
    await city.let_time_pass(case_id)

    async def closed() -> bool:
        return (await city.state(case_id))[1] == "closed"

    await city.until(closed, "closed case")
    assert (await city.ledger(case_id)).count("resolved") == 1
    again = await ask(city, case_id, action="resolve", action_id=action_id)
    assert (again.status_code, again.json()["done"]) == (200, True)
    assert await take_back(city, action_id, "L0") == 410


async def test_what_is_taken_back_is_never_decided(city: City) -> None:
    case_id, first, second = await new_case(city), str(uuid.uuid4()), str(uuid.uuid4())
    assert (await ask(city, case_id, action="resolve", action_id=first)).status_code == 202
    assert await take_back(city, first, "L1") == 410, "it is another's"
    assert await take_back(city, first, "L0") == 303
    seq, _ = await city.state(case_id)
    asked = {"action": "return", "expected_seq": seq, "return_reason": "not_my_duty"}
    assert (await ask(city, case_id, action_id=second, **asked)).status_code == 202

    await city.let_time_pass(case_id)

    async def given_back() -> bool:
        return (await city.state(case_id))[1] == "unplaced"

    await city.until(given_back, "case given back")
    assert "resolved" not in await city.ledger(case_id)


async def test_two_steps_of_one_case_do_not_wait_together(city: City) -> None:
    case_id = await new_case(city)
    assert (await ask(city, case_id, action="resolve")).status_code == 202
    seq, _ = await city.state(case_id)
    asked = {"action": "return", "expected_seq": seq, "return_reason": "not_my_duty"}
    answer = await ask(city, case_id, **asked)
    assert answer.status_code == 409


async def test_whoever_asked_is_told_that_it_was_not_done(city: City) -> None:
    case_id, action_id = await new_case(city), str(uuid.uuid4())
    seq, _ = await city.state(case_id)
    asked = {"action": "return", "expected_seq": seq, "return_reason": "not_my_duty"}
    assert (await ask(city, case_id, action_id=action_id, **asked)).status_code == 202
    (await city.act(case_id, "accept")).raise_for_status()
    await city.let_time_pass(case_id)
    dispatch = await city.database("dispatch")

    async def refused() -> str | None:
        found: str | None = await dispatch.fetchval(
            "SELECT refusal FROM held_action WHERE action_id = $1", uuid.UUID(action_id)
        )
        return found

    assert await city.until(refused, "refusal") == "case_has_moved_on"
    assert (await city.state(case_id))[1] == "accepted"
    headers = city.bearer(Role.LEAD, "L0") | {"Accept": "text/html", "Accept-Language": "en"}
    page = await city.http.get(city.url("dispatch", "/work"), headers=headers)
    assert "this was not done. The case has moved on meanwhile." in page.text
    seen = await city.http.post(city.url("dispatch", f"/work/refused/{action_id}"), headers=headers)
    assert seen.status_code == 303
    page = await city.http.get(city.url("dispatch", "/work"), headers=headers)
    assert "this was not done. The case has moved on meanwhile." not in page.text


async def test_what_is_not_allowed_is_refused_at_once(city: City) -> None:
    case_id = await new_case(city)
    seq, _ = await city.state(case_id)
    answer = await ask(city, case_id, action="return", expected_seq=seq)
    assert answer.status_code == 422
    assert (await ask(city, uuid.uuid4(), action="resolve")).status_code == 404
    assert (await ask(city, case_id, action="accept")).json()["done"] is True


async def test_what_could_not_be_decided_in_time_is_not_done(city: City) -> None:
    """A restored database may hold what had been taken back: it is told, and never done."""
    case_id, action_id = await new_case(city), uuid.uuid4()
    seq, _ = await city.state(case_id)
    asked = {"action": "return", "expected_seq": seq, "return_reason": "not_my_duty"}
    assert (await ask(city, case_id, action_id=str(action_id), **asked)).status_code == 202
    dispatch = await city.database("dispatch")
    await dispatch.execute(
        "UPDATE held_action SET due_at = due_at - interval '20 minutes' WHERE action_id = $1",
        action_id,
    )

    async def refused() -> str | None:
        found: str | None = await dispatch.fetchval(
            "SELECT refusal FROM held_action WHERE action_id = $1", action_id
        )
        return found

    assert await city.until(refused, "refusal") == "happened_too_long_ago"
    assert (await city.state(case_id))[1] == "dispatched"
    headers = city.bearer(Role.LEAD, "L0") | {"Accept": "text/html", "Accept-Language": "en"}
    page = await city.http.get(city.url("dispatch", "/work"), headers=headers)
    assert "it could not be done in time" in page.text
    again = await ask(city, case_id, action_id=str(action_id), **asked)
    assert (again.status_code, again.json()["refusal"]) == (422, "happened_too_long_ago")
