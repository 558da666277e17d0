"""What the vault is asked for, in parts no larger than it answers."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from lastmetre.common.contracts.vault import ContactsAsked
from lastmetre.notify.adapters import vault


@pytest.mark.parametrize(
    ("reports", "leads", "calls"), [(0, 0, 0), (1, 0, 1), (1000, 3, 1), (1001, 3, 2), (3, 2500, 3)]
)
async def test_many_are_asked_for_in_parts(
    monkeypatch: pytest.MonkeyPatch, reports: int, leads: int, calls: int
) -> None:
    asked: list[ContactsAsked] = []

    def answer(request: httpx.Request) -> httpx.Response:
        # What intake refuses with 422 raises here.
        asked.append(ContactsAsked.model_validate(json.loads(request.content)))
        return httpx.Response(
            200,
            json={
                "reports": {str(each): {"phone": "1"} for each in asked[-1].report_ids},
                "leads": {each: {"email": "a@b.invalid"} for each in asked[-1].lead_ids},
            },
        )

    made = httpx.AsyncClient

    def client(**options: Any) -> httpx.AsyncClient:
        return made(**options | {"transport": httpx.MockTransport(answer)})

    monkeypatch.setattr(httpx, "AsyncClient", client)
    wanted = {UUID(int=n) for n in range(reports)}, {f"lead-{n}" for n in range(leads)}
    found = await vault.Vault("http://intake.invalid", "key").contacts(*wanted)
    assert (set(found.reports), set(found.leads)) == wanted
    assert len(asked) == calls
