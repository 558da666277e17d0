"""A case's kind is corrected on the centre's page: decided once, and known to every reader (A30)."""

import uuid

from lastmetre.common.security.callers import Role
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
    metrics = await city.database("metrics")

    async def counted() -> bool:
        category = await metrics.fetchval(
            "SELECT category FROM fact WHERE case_id = $1", case_id
        )
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
