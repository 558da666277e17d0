"""Notes of staff: their words are in the vault alone, counted once, and erased with the report."""

import uuid
from typing import Any

import httpx
import pytest

from lastmetre.common.security.callers import Role
from lastmetre.intake.adapters.postgres import erasing
from tests.support.city import City, inside

PAGE = {"Accept": "text/html", "Accept-Language": "en"}
WORDS = "Rang Mr Chen, 13800138000: he has moved"


async def noting(city: City, case_id: uuid.UUID, **more: Any) -> httpx.Response:
    """As the centre's page asks."""
    return await city.http.post(
        city.url("dispatch", f"/centre/cases/{case_id}/actions"),
        data={"action": "note", "note": WORDS, **more},
        headers=city.bearer(Role.OPERATOR),
    )


async def noted(city: City, case_id: uuid.UUID) -> uuid.UUID | None:
    dispatch = await city.database("dispatch")
    found: uuid.UUID | None = await dispatch.fetchval(
        "SELECT (convert_from(body, 'UTF8')::json->>'note_id')::uuid FROM ledger"
        " WHERE case_id = $1 AND type = 'lastmetre.case.noted.v1'",
        case_id,
    )
    return found


async def page_of(city: City, case_id: uuid.UUID, role: Role, lead: str | None = None) -> str:
    answer = await city.http.get(
        city.url("dispatch", f"/cases/{case_id}"),
        headers=city.bearer(role, lead) | PAGE,
        follow_redirects=True,
    )
    return answer.text


async def test_a_note_is_read_by_staff_and_nobody_else(city: City) -> None:
    await city.import_network()
    receipt = await city.report(f"noted-{uuid.uuid4()}", position=inside(0))
    case_id, action_id = await city.case_of(receipt), str(uuid.uuid4())
    for _ in range(2):
        assert (await noting(city, case_id, action_id=action_id)).status_code == 303
    await city.let_time_pass(case_id)
    assert str(await city.until(lambda: noted(city, case_id), "note")) == action_id
    assert (await noting(city, case_id, action_id=action_id)).status_code == 303
    assert await city.ledger(case_id) == ["registered", "dispatched", "noted"]
    for role, lead in ((Role.OPERATOR, None), (Role.SUPERVISOR, None), (Role.LEAD, "L0")):
        assert WORDS in await page_of(city, case_id, role, lead)
    dispatch, intake = await city.database("dispatch"), await city.database("intake")
    kept = b"".join(
        row[0]
        for row in await dispatch.fetch("SELECT body FROM ledger WHERE case_id = $1", case_id)
    )
    assert b"13800138000" not in kept
    sealed = await intake.fetchval(
        "SELECT sealed FROM case_note WHERE note_id = $1", uuid.UUID(action_id)
    )
    assert b"13800138000" not in sealed

    async def in_view() -> bool:
        query = "SELECT seq FROM case_view WHERE case_id = $1"
        return bool(await intake.fetchval(query, case_id) == 3)

    await city.until(in_view, "note in intake's view")
    seen = (await city.http.get(city.url("intake", f"/cases/{receipt}"))).json()
    assert [each["type"] for each in seen["timeline"]] == ["registered", "dispatched"]


async def test_a_note_that_is_taken_back_is_kept_nowhere(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"taken-{uuid.uuid4()}", position=inside(0))
    action_id = str(uuid.uuid4())
    assert (await noting(city, case_id, action_id=action_id)).status_code == 303
    taken = await city.http.post(
        city.url("dispatch", f"/centre/held/{action_id}"), headers=city.bearer(Role.OPERATOR)
    )
    assert taken.status_code == 303
    intake = await city.database("intake")
    query = "SELECT count(*) FROM case_note WHERE note_id = $1"
    assert await intake.fetchval(query, uuid.UUID(action_id)) == 0
    assert await city.ledger(case_id) == ["registered", "dispatched"]


async def test_a_note_that_is_refused_is_kept_nowhere(city: City) -> None:
    """By whoever asks for it: the case is another lead's."""
    await city.import_network()
    case_id = await city.new_case(f"refused-{uuid.uuid4()}", position=inside(0))
    action_id = uuid.uuid4()
    answer = await city.http.post(
        city.url("dispatch", f"/api/dispatch/v1/cases/{case_id}/actions"),
        json={"action": "note", "note": WORDS, "action_id": str(action_id)},
        headers=city.bearer(Role.LEAD, "L1"),
    )
    assert (answer.status_code, answer.json()["refusal"]) == (403, "not_your_case")
    intake = await city.database("intake")

    async def gone() -> bool:
        query = "SELECT count(*) FROM case_note WHERE note_id = $1"
        return bool(await intake.fetchval(query, action_id) == 0)

    await city.until(gone, "words of a note that was refused")


async def test_notes_are_erased_with_the_report_and_none_is_added_then(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"erased-{uuid.uuid4()}", position=inside(0))
    assert (await noting(city, case_id)).status_code == 303
    await city.let_time_pass(case_id)
    await city.until(lambda: noted(city, case_id), "note")
    intake = await city.database("intake")
    report_id = await intake.fetchval(
        "SELECT report_id FROM case_note JOIN case_view USING (report_id) WHERE case_id = $1",
        case_id,
    )
    await erasing.forget(intake, [report_id])
    assert "The words are not kept any more" in await page_of(city, case_id, Role.OPERATOR)
    assert (await noting(city, case_id)).status_code == 409


@pytest.mark.parametrize("words", ["", " ", "x" * 2001])
async def test_a_note_without_words_or_with_too_many_is_refused(city: City, words: str) -> None:
    await city.import_network()
    case_id = await city.new_case(f"empty-{uuid.uuid4()}", position=inside(0))
    assert (await noting(city, case_id, note=words)).status_code == 422
