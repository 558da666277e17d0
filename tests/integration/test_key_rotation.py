"""Keys replaced under a running intake, and a vault with a damaged row."""

from collections import Counter
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from lastmetre.common.security.callers import Role
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.reseal_vault import ResealVault
from tests.support.city import IntakeAlone, key_bytes, key_text
from tests.support.city.processes import ServiceProcess
from tests.support.commands import attempt

pytestmark = pytest.mark.slow

NOTE = "已电话核实"
IN_FILES: Final = {
    "LASTMETRE_LINK_KEY": "link_key",
    "LASTMETRE_LINK_OLD_KEYS": "link_old_keys",
    "LASTMETRE_IDENTITY_KEY": "identity_key",
}
"""As deploy/compose names them, by the setting."""


def report(source_id: str, phone: str = "13800138000") -> dict[str, object]:
    return {"source_id": source_id, "text": "路灯不亮", "contact": {"phone": phone}}


async def send(client: httpx.AsyncClient, city: IntakeAlone, source_id: str) -> dict[str, str]:
    answer = await client.post(
        "/channels/hotline/reports",
        json=report(source_id),
        headers=city.credentials.channel("hotline"),
    )
    assert answer.status_code == 202
    taken: dict[str, str] = answer.json()
    return taken


async def opens(client: httpx.AsyncClient, taken: dict[str, str]) -> tuple[int, int, bool]:
    """Whether receipt and progress page open, and whether the page has the text."""
    page = await client.get(taken["progress_url"].removeprefix("http://intake"))
    receipt = await client.get(f"/cases/{taken['receipt']}")
    return receipt.status_code, page.status_code, "路灯不亮" in page.text


async def contacts(client: httpx.AsyncClient, city: IntakeAlone) -> httpx.Response:
    ids = [str(row[0]) for row in await city.fetch("SELECT report_id FROM report")]
    return await client.post(
        "/api/intake/v1/contacts",
        headers=city.credentials.service("notify"),
        json={"report_ids": ids, "lead_ids": ["L1", "L2"]},
    )


async def keep_note(client: httpx.AsyncClient, city: IntakeAlone) -> str:
    """On the only report; returns the note's id."""
    note_id, report_id = str(uuid4()), await city.value("SELECT report_id FROM report")
    kept = await client.post(
        "/api/intake/v1/notes",
        headers=city.credentials.service("dispatch"),
        json={"note_id": note_id, "report_id": str(report_id), "text": NOTE},
    )
    assert kept.status_code == 204
    return note_id


async def note_of(client: httpx.AsyncClient, city: IntakeAlone, note_id: str) -> object:
    """What is told of it: its words by its id."""
    answer = await client.post(
        "/api/intake/v1/notes/look",
        headers=city.credentials.service("dispatch"),
        json={"note_ids": [note_id]},
    )
    return answer.json()["notes"]


async def test_all_keys_of_intake_are_replaced(intake_city: IntakeAlone) -> None:
    first = {
        name: intake_city.environment[name] for name in ("LASTMETRE_LINK_KEY", "INTAKE_VAULT_KEY")
    }
    link, vault = key_text(), key_text()
    during: dict[str, Any] = {
        "LASTMETRE_LINK_KEY": link,
        "LASTMETRE_LINK_OLD_KEYS": first["LASTMETRE_LINK_KEY"],
        "LASTMETRE_IDENTITY_KEY": first["LASTMETRE_LINK_KEY"],
        "INTAKE_VAULT_KEY": vault,
        "INTAKE_VAULT_OLD_KEYS": first["INTAKE_VAULT_KEY"],
        "INTAKE_FINGERPRINT_KEY": first["INTAKE_VAULT_KEY"],
    }
    async with intake_city.running() as city:
        running = await city.start()
        async with running.client() as client:
            before = await send(client, city, "1")
            assert await city.until_read() == Counter(accepted=1)
            note_id = await keep_note(client, city)
        await running.end()

        running = await city.start(**during)
        async with running.client() as client:
            assert await opens(client, before) == (200, 200, True)
            again = await send(client, city, "1")
            assert again != before
            new = await send(client, city, "2")
            assert await city.until_read() == Counter(accepted=2, repeated=1)
            for taken in (before, again, new):
                assert await opens(client, taken) == (200, 200, True)
            assert await note_of(client, city, note_id) == {note_id: NOTE}
            found = (await contacts(client, city)).json()
            assert [each["phone"] for each in found["reports"].values()] == ["+8613800138000"] * 2
        await running.end()

        rotated = Vault(
            key_bytes(vault), old_keys=[key_bytes(first["INTAKE_VAULT_KEY"])],
            fingerprint_key=key_bytes(first["INTAKE_VAULT_KEY"]),
        )  # fmt: skip
        async with city.connection() as reading, city.connection() as writing:
            planned = await ResealVault(reading, writing, rotated, dry_run=True)()
            assert (planned.columns["vault.sealed"].values, planned.ok) == (2, True)
            assert planned.columns["vault.sealed"].sealed_anew == 1
            assert planned.columns["case_note.sealed"].sealed_anew == 1
            done = await ResealVault(reading, writing, rotated, dry_run=False)()
            assert (done.columns["vault.sealed"].sealed_anew, done.ok) == (1, True)
            assert done.columns["case_note.sealed"].done
            nothing = await ResealVault(reading, writing, rotated, dry_run=False)()
            assert (nothing.columns["vault.sealed"].current, nothing.ok) == (2, True)

        running = await city.start(**during | {"INTAKE_VAULT_OLD_KEYS": ""})
        async with running.client() as client:
            for taken in (before, again, new):
                assert await opens(client, taken) == (200, 200, True)
            assert await note_of(client, city, note_id) == {note_id: NOTE}
            await send(client, city, "1")
            assert await city.until_read() == Counter(accepted=2, repeated=2)


async def test_a_key_is_replaced_in_the_files_of_processes_that_run(
    intake_city: IntakeAlone, tmp_path: Path
) -> None:
    """As docs/keys.md has it: by three steps in the folder of `lastmetre secrets make`, each with a
    restart of one process after the other. What any of the two makes, both open at each moment."""
    folder = tmp_path / "secrets"
    ended, _, told = await attempt(None, "secrets", "make", folder)
    assert ended == 0, told
    for name, file in IN_FILES.items():
        intake_city.environment.pop(name, None)
        intake_city.environment[f"{name}_FILE"] = str(folder / "keys-intake" / file)

    async def rotate(*step: str, code: int = 0) -> str:
        words = ("rotate", "key", "link", "--secrets", str(folder), "--step", *step)
        ended, _, told = await attempt(None, *words)
        assert ended == code, told
        return told

    async with intake_city.running() as city:
        one, two = await city.start(), await city.start()

        async def sent_to(process: ServiceProcess, source_id: str) -> dict[str, str]:
            async with process.client() as client:
                return await send(client, city, source_id)

        async def opened_by(process: ServiceProcess, *taken: dict[str, str]) -> set[int]:
            async with process.client() as client:
                return {status for each in taken for status in (await opens(client, each))[:2]}

        async def restarted(process: ServiceProcess) -> ServiceProcess:
            await process.end()
            return await city.start()

        before = await sent_to(one, "1")
        await rotate("add")
        one = await restarted(one)
        added = [await sent_to(one, "2"), await sent_to(two, "3")]
        assert await opened_by(one, before, *added) == await opened_by(two, before, *added) == {200}
        two = await restarted(two)
        await rotate("use")
        one = await restarted(one)
        # The same report by the new key, and by the old one where it is not read yet.
        new = await sent_to(one, "1")
        assert new != before == await sent_to(two, "1")
        known = [before, *added, new]
        assert await opened_by(one, *known) == await opened_by(two, *known) == {200}
        two = await restarted(two)
        assert await sent_to(two, "1") == new
        assert await opened_by(two, *known) == {200}

        assert "nobody can say for how long" in await rotate("drop", code=1)
        await rotate("drop", "--at-once")
        assert await opened_by(one, *known) == {200}, "until it is restarted"
        one = await restarted(one)
        assert await opened_by(one, before, *added) == {404}
        assert await opened_by(one, new) == {200}


async def test_a_damaged_row_stops_nobody_elses_messages(intake_city: IntakeAlone) -> None:
    async with intake_city.running() as city:
        running = await city.start()
        async with running.client() as client:
            for number in range(3):
                await send(client, city, f"{number}")
            await city.until_read()
            leads = [{"lead_id": each, "phone": "13900000001"} for each in ("L1", "L2")]
            kept = await client.put(
                "/api/intake/v1/lead-contacts",
                headers=city.credentials.bearer(Role.ADMINISTRATOR),
                json={"contacts": leads},
            )
            assert kept.json() == {"kept": 2}
            spoil = "SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
            await city.fetch(f"UPDATE lead_contact {spoil} WHERE lead_id = 'L1'")
            await city.fetch(
                f"UPDATE vault {spoil}"
                " WHERE report_id = (SELECT min(report_id::text)::uuid FROM vault)"
            )
            answer = await contacts(client, city)
            assert answer.status_code == 200
            found = answer.json()
            assert list(found["leads"]) == ["L2"]
            assert found["unreadable_leads"] == ["L1"]
            assert len(found["reports"]) == 2
            assert len(found["unreadable_reports"]) == 1
            assert await running.figure("lastmetre_vault_damaged_rows_total", kind="lead") == 1


@pytest.mark.parametrize("named", [False, True], ids=["rows of before", "rows that name their key"])
async def test_a_key_that_is_missing_is_waited_for(intake_city: IntakeAlone, named: bool) -> None:
    """Nobody's contact is taken for lost because somebody forgot an old key."""
    async with intake_city.running() as city:
        first = city.environment["INTAKE_VAULT_KEY"]
        naming: dict[str, Any] = {"INTAKE_FINGERPRINT_KEY": first} if named else {}
        running = await city.start(**naming)
        async with running.client() as client:
            for number in range(3):
                await send(client, city, f"{uuid4()}-{number}")
            await city.until_read()
            assert (await contacts(client, city)).status_code == 200
        await running.end()
        mistaken: dict[str, Any] = {"INTAKE_VAULT_KEY": key_text(), "INTAKE_FINGERPRINT_KEY": first}
        running = await city.start(**mistaken)
        async with running.client() as client:
            await send(client, city, "after")
            await city.until_read()
            assert (await contacts(client, city)).status_code == 503
        await running.end()
        running = await city.start(**mistaken | {"INTAKE_VAULT_OLD_KEYS": first})
        async with running.client() as client:
            assert len((await contacts(client, city)).json()["reports"]) == 4
