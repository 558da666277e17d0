"""A case that was made of several people's reports: each is forgotten and shown by himself."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.forget_reports import (
    ForgetOldReports,
    ForgetReport,
    SeveralReporters,
)
from tests.support.city import IntakeAlone, eventually

pytestmark = pytest.mark.slow

PHONES: Final = {"first": "13800138000", "second": "13900139001", "third": "13700137002"}
NUMBER: Final = "261122-0000001"
WORDS: Final = "路灯不亮"


class OneCase:
    """Three people's reports of one problem; the third has a case of its own again."""

    def __init__(self, city: IntakeAlone, client: httpx.AsyncClient) -> None:
        self.city = city
        self.client = client
        self.pages: dict[str, str] = {}
        self.reports: dict[str, UUID] = {}
        self.case_id = uuid4()
        self.vault = Vault(base64.urlsafe_b64decode(city.environment["INTAKE_VAULT_KEY"]))

    async def begin(self) -> None:
        """Send the reports, and tell what became of them."""
        for name, phone in PHONES.items():
            body = {"source_id": name, "text": WORDS, "contact": {"name": name, "phone": phone}}
            answer = await self.client.post(
                "/channels/hotline/reports",
                json=body,
                headers=self.city.credentials.channel("hotline"),
            )
            self.pages[name] = str(answer.json()["progress_url"]).removeprefix("http://intake")
        await self.city.until_read()
        rows = await self.city.fetch("SELECT source_id, report_id FROM report")
        self.reports = {row[0]: row[1] for row in rows}
        registered, own = self._event(1, number=NUMBER, **self._of("first")), uuid4()
        events: list[CaseEvent] = [
            cases.CaseRegistered(**registered),
            cases.ReportMerged(**self._event(2, **self._of("second"))),
            cases.ReportMerged(**self._event(3, **self._of("third"))),
            cases.ReportSplit(**self._event(4, report_id=self.reports["third"], split_case_id=own)),
            cases.CaseRegistered(
                **self._event(1, number="261122-0000002", **self._of("third")) | {"case_id": own}
            ),
        ]
        await self.tell(events)

    async def tell(self, events: list[CaseEvent]) -> None:
        """Returns once intake knows them."""
        for event in events:
            await self.city.tell(event)
        last = {event.case_id: event.seq for event in events}

        async def told() -> bool:
            rows = await self.city.fetch("SELECT case_id, seq FROM case_view")
            known = {row[0]: row[1] for row in rows}
            return all(known.get(case_id) == seq for case_id, seq in last.items())

        await eventually(told)

    async def close(self) -> None:
        """The case of the first two is closed."""
        kinds = (cases.CaseResolved, cases.CaseVerified, cases.CaseClosed)
        await self.tell([kind(**self._event(seq)) for seq, kind in enumerate(kinds, 5)])

    def _event(self, seq: int, **fields: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "case_id": self.case_id, "seq": seq, "occurred_at": now, "recorded_at": now,
            "actor": SYSTEM, **fields,
        }  # fmt: skip

    def _of(self, name: str) -> dict[str, Any]:
        return {
            "report_id": self.reports[name], "channel": Channel.HOTLINE, "origin": Origin.LIVE,
            "category": "unknown", "reported_at": datetime.now(UTC), "reporter_reachable": True,
            "language": Language.CHINESE,
        }  # fmt: skip

    async def kept(self) -> set[str]:
        """Whose words their progress pages still show, after a look at the vault itself."""
        names = {report_id: name for name, report_id in self.reports.items()}
        rows = await self.city.fetch("SELECT report_id FROM vault")
        shown = {
            name for name, page in self.pages.items() if WORDS in (await self.client.get(page)).text
        }
        assert shown == {names[row[0]] for row in rows}
        return shown

    async def look(self, name: str, **asked: Any) -> httpx.Response:
        """A lead looks at a contact."""
        return await self.client.post(
            "/api/intake/v1/contacts/look",
            headers=self.city.credentials.service("dispatch"),
            json={"report_id": str(self.reports[name]), "actor": "lead:L1", **asked},
        )

    async def note(self, name: str) -> None:
        """Staff note something on the case that was registered for this report."""
        kept = await self.client.post(
            "/api/intake/v1/notes",
            headers=self.city.credentials.service("dispatch"),
            json={"note_id": str(uuid4()), "report_id": str(self.reports[name]), "text": WORDS},
        )
        assert kept.status_code == 204

    async def notes(self) -> set[str]:
        """On whose cases staff's notes are kept."""
        names = {report_id: name for name, report_id in self.reports.items()}
        return {names[row[0]] for row in await self.city.fetch("SELECT report_id FROM case_note")}

    async def noted(self) -> list[str]:
        """Whose contacts are noted as read."""
        names = {report_id: name for name, report_id in self.reports.items()}
        rows = await self.city.fetch("SELECT report_id FROM contact_look ORDER BY id")
        return [names[row[0]] for row in rows]


@pytest.fixture
async def case(intake_city: IntakeAlone) -> AsyncIterator[OneCase]:
    async with intake_city.running() as city:
        running = await city.start()
        async with running.client() as client:
            told = OneCase(city, client)
            await told.begin()
            yield told


async def test_one_reporter_is_forgotten_without_the_others(case: OneCase) -> None:
    await case.note("first")
    await case.note("third")
    async with case.city.connection() as connection:
        forget = ForgetReport(connection, dry_run=False)
        with pytest.raises(SeveralReporters) as several:
            await forget.of_case(NUMBER)
        assert [each.report_id for each in several.value.reports] == [
            case.reports["first"], case.reports["second"],
        ]  # fmt: skip
        assert await forget.of_phone(NUMBER, "7002", case.vault) is None, "he has left the case"
        assert await case.kept() == {"first", "second", "third"}
        done = await forget.of_phone(NUMBER, "9001", case.vault)
        assert done is not None
        assert done.reports == 1
        assert await case.kept() == {"first", "third"}
        assert await case.notes() == {"third"}, "what was noted may be of the one or of the other"
        own = await forget.of_case("261122-0000002")
        assert own is not None
        assert (await case.kept(), await case.notes()) == ({"first"}, set())


async def test_by_age_who_joined_a_case_is_at_his_end_with_it(case: OneCase) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with case.city.connection() as connection:
        forget = ForgetOldReports(connection, dry_run=False)
        assert (await forget(tomorrow)).reports == 0
        await case.close()
        assert (await forget(tomorrow)).reports == 2
    assert await case.kept() == {"third"}


async def test_every_reporter_is_masked_or_shown_and_noted(case: OneCase) -> None:
    one = (await case.look("second")).json()
    assert (one["name"], one["phone"], one["email"]) == ("second", PHONES["second"], None)
    shown = [
        (each["report_id"], each["shown"], each["phone"], each["phone_masked"], each["reachable"])
        for each in one["reporters"]
    ]
    first, second = str(case.reports["first"]), str(case.reports["second"])
    assert shown == [
        (first, False, None, "138****8000", True),
        (second, True, PHONES["second"], "139****9001", True),
    ]
    assert PHONES["first"] not in str(one)
    assert await case.noted() == ["second"]
    every = (await case.look("first", every_reporter=True)).json()
    assert [(each["name"], each["phone"]) for each in every["reporters"]] == [
        ("first", PHONES["first"]), ("second", PHONES["second"]),
    ]  # fmt: skip
    assert sorted(await case.noted()) == ["first", "second", "second"]
    alone = (await case.look("third", every_reporter=True)).json()
    assert [each["name"] for each in alone["reporters"]] == ["third"]


async def test_who_was_erased_is_shown_no_more(case: OneCase) -> None:
    async with case.city.connection() as connection:
        await ForgetReport(connection, dry_run=False)([case.reports["second"]])
    every = (await case.look("first", every_reporter=True)).json()
    assert [each["name"] for each in every["reporters"]] == ["first"]
    assert (await case.look("second")).status_code == 404
    assert await case.noted() == ["first"]
