"""A case's kind and place are corrected: once, and known to every reader (A30, A13)."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from lastmetre.intake.adapters.postgres import erasing
from tests.support import books
from tests.support.city import City, inside

LAMP, COVER = "part:01002", "part:01003"
PAGE = {"Accept": "text/html", "Accept-Language": "en"}


async def test_a_kind_is_corrected_once_and_the_figures_follow(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"kind-{uuid.uuid4()}", position=inside(0), category=LAMP)
    operator = city.bearer(Role.OPERATOR)
    form = {
        "action": "change_category", "action_id": str(uuid.uuid4()), "expected_seq": "2",
        "category": COVER, "correction_reason": "said_in_report",
    }  # fmt: skip
    path = city.url("dispatch", f"/centre/cases/{case_id}/actions")
    wrong = await city.http.post(path, data={**form, "correction_reason": ""}, headers=operator)
    assert wrong.status_code == 422
    for _ in range(2):
        assert (await city.http.post(path, data=form, headers=operator)).status_code == 303
    await city.let_time_pass(case_id)
    metrics = await city.database("metrics")

    async def counted() -> bool:
        category = await metrics.fetchval("SELECT category FROM fact WHERE case_id = $1", case_id)
        return bool(category == COVER)

    await city.until(counted, "corrected fact")
    again = await city.http.post(path, data=form, headers=operator)
    assert again.status_code == 303, "the same again is answered as before"
    assert await city.ledger(case_id) == ["registered", "dispatched", "category_changed"]
    notify = await city.database("notify")

    async def named() -> bool:
        query = "SELECT category FROM subject WHERE case_id = $1"
        return bool(await notify.fetchval(query, case_id) == COVER)

    await city.until(named, "corrected kind in notify")
    page = await city.http.get(
        city.url("dispatch", f"/cases/{case_id}"), headers=operator | PAGE, follow_redirects=True
    )
    assert "the report itself says so" in page.text


async def test_a_message_says_the_kind_that_it_said(city: City) -> None:
    """What was written before the correction is not made out to have said otherwise."""
    await city.import_network()
    case_id = await city.new_case(f"said-{uuid.uuid4()}", position=inside(0), category=LAMP)
    answer = await city.act(
        case_id, "change_category", Role.OPERATOR, expected_seq=2, category=COVER,
        correction_reason="seen_on_site",
    )  # fmt: skip
    answer.raise_for_status()
    placed = await city.act(case_id, "place", Role.OPERATOR, expected_seq=3, area_id="A1")
    placed.raise_for_status()

    async def shown() -> str | None:
        page = await city.http.get(
            city.url("dispatch", f"/cases/{case_id}"),
            headers=city.bearer(Role.OPERATOR) | PAGE,
            follow_redirects=True,
        )
        messages = page.text[page.text.index('aria-labelledby="h-told"') :]
        return messages if "雨水井盖" in messages else None

    assert "污水井盖" in await city.until(shown, "message of the second assignment")


async def test_a_category_that_the_city_does_not_know_is_refused(city: City) -> None:
    case_id = await city.new_case(f"kind-{uuid.uuid4()}", position=inside(0), category=LAMP)
    for role, category, status, refusal in (
        (Role.OPERATOR, "part:99999", 422, "category_unknown"),
        (Role.SUPERVISOR, COVER, 403, "not_allowed_for_role"),
    ):
        answer = await city.act(
            case_id, "change_category", role, expected_seq=2, category=category,
            correction_reason="seen_on_site",
        )  # fmt: skip
        assert (answer.status_code, answer.json()["refusal"]) == (status, refusal)
    assert await city.ledger(case_id) == ["registered", "dispatched"]


async def test_a_place_is_set_once_and_nobody_gets_the_case_by_it(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"place-{uuid.uuid4()}", category=LAMP, position=None)
    operator = city.bearer(Role.OPERATOR)
    form = {
        "action": "change_location", "action_id": str(uuid.uuid4()), "expected_seq": "2",
        "latitude": "0.5", "longitude": "1.5", "datum": "wgs84", "accuracy_metres": "50",
        "correction_reason": "said_by_reporter",
    }  # fmt: skip
    path = city.url("dispatch", f"/centre/cases/{case_id}/actions")
    for _ in range(2):
        assert (await city.http.post(path, data=form, headers=operator)).status_code == 303
    await city.let_time_pass(case_id)
    dispatch = await city.database("dispatch")

    async def located() -> tuple[float, ...] | None:
        row = await dispatch.fetchrow(
            'SELECT latitude, longitude, accuracy_metres FROM "case" WHERE case_id = $1', case_id
        )
        return tuple(row) if row and row["latitude"] is not None else None

    assert await city.until(located, "case with a place") == (0.5, 1.5, 50)
    assert await city.ledger(case_id) == ["registered", "unplaced", "location_changed"]
    assert (await city.state(case_id))[1] == "unplaced"
    # The lead of that area is offered, and the operator gives it to him.
    page = await city.http.get(
        city.url("dispatch", f"/cases/{case_id}"), headers=operator | PAGE, follow_redirects=True
    )
    assert 'value="A1" required checked' in page.text
    placed = await city.act(case_id, "place", Role.OPERATOR, expected_seq=3, area_id="A1")
    assert placed.json()["state"] == "dispatched"
    wrong = await city.http.post(path, data={**form, "latitude": "95"}, headers=operator)
    assert wrong.status_code == 422


async def test_a_corrected_case_is_at_its_end_all_the_same(city: City) -> None:
    """What is personal of it can be forgotten: a correction is no step."""
    await city.import_network()
    case_id = await city.new_case(f"ended-{uuid.uuid4()}", position=inside(0), category=LAMP)
    intake, tomorrow = await city.database("intake"), datetime.now(UTC) + timedelta(days=1)

    async def forgettable() -> bool:
        found = await erasing.kept_before(intake, tomorrow, None, 100_000)
        query = "SELECT report_id FROM case_view WHERE case_id = $1"
        return await intake.fetchval(query, case_id) in found

    (await city.act(case_id, "resolve")).raise_for_status()
    await city.until(forgettable, "closed case that can be forgotten")
    seq, _ = await city.state(case_id)
    answer = await city.act(
        case_id, "change_category", Role.OPERATOR, expected_seq=seq, category=COVER,
        correction_reason="seen_on_site",
    )  # fmt: skip
    answer.raise_for_status()

    async def known() -> bool:
        query = "SELECT seq FROM case_view WHERE case_id = $1"
        return bool(await intake.fetchval(query, case_id) == seq + 1)

    await city.until(known, "corrected case in intake")
    assert await forgettable()


ADDED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("change_category", {"category": COVER}),
    ("change_location", {"latitude": 0.5, "longitude": 1.5, "accuracy_metres": 200}),
    ("note", {"note": "Rang the reporter"}),
)


async def test_the_books_balance_with_corrections_and_notes(stack: Stack, city: City) -> None:
    await city.import_network()
    name = f"corrected-{uuid.uuid4()}"
    case_id = await city.new_case(name, position=inside(0), category=LAMP)
    for seq, (action, said) in enumerate(ADDED, start=2):
        answer = await city.act(
            case_id, action, Role.OPERATOR,
            expected_seq=seq, correction_reason="said_by_reporter", **said,
        )  # fmt: skip
        assert answer.json()["seq"] == seq + 1
    left = await books.quiet(stack.endpoints)
    assert not left, left
    balance = await books.balance(stack.endpoints, stack.home.outbox)
    assert [each.document() for each in balance if not each.balanced] == []
