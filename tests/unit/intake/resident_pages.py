"""Residents' pages of intake as an application of their own, without Kafka and a database.

What the database would hold is in `Known`; what is sent to Kafka is in its `sent`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from lastmetre.common.categories import Categories, Category
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import CaseEvent, LocalName, PublishedLead
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.clock import RealClock
from lastmetre.common.web import problems
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.common.web.svg.maps import AreaMap
from lastmetre.intake.adapters.postgres import cases, reports
from lastmetre.intake.adapters.postgres.reports import (
    DuplicateRecord,
    KnownReport,
    RecordPosition,
    ReportOrigin,
)
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.add_to_report import AddToReport
from lastmetre.intake.application.find_report import FindReport
from lastmetre.intake.application.follow_report import FollowReport, TellJustSent, TellProgress
from lastmetre.intake.application.read_vault import ReadVault
from lastmetre.intake.application.submit_form import SubmitForm
from lastmetre.intake.domain.case_view import CaseView, Followed, entry
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Sent, normalise
from lastmetre.intake.domain.submission import canonical
from lastmetre.intake.domain.vault_entries import VaultEntry
from lastmetre.intake.entrypoints.web.live import ProgressEvents
from lastmetre.intake.entrypoints.web.network import Drawn
from lastmetre.intake.entrypoints.web.progress import ProgressPages, ProgressUses, progress_router
from lastmetre.intake.entrypoints.web.report import ReportPages, report_router
from tests.unit.web.conftest import PUBLIC_URLS, guarded_app

NOW: Final = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
CASE, REPORT = UUID(int=1), UUID(int=2)
IDENTITY: Final = bytes(range(12))
LINKS: Final = SignedLinks(b"k" * 32)
VAULT: Final = Vault(b"v" * 32)
LEAD: Final = PublishedLead(
    lead_id="L1",
    name=LocalName(zh="李敏", en="Li Min"),
    post=LocalName(zh="片长", en="Area lead"),
)


def area(area_id: str, west: float) -> AreaPublished:
    """A square of about two kilometres beside the others."""
    corners = [[west, 23.0], [west + 0.02, 23.0], [west + 0.02, 23.02], [west, 23.02], [west, 23.0]]
    return AreaPublished(
        area_id=area_id,
        name=LocalName(zh=f"片区 {area_id}", en=f"Area {area_id}"),
        outline={"type": "Polygon", "coordinates": [corners]},
        lead=LEAD,
        network_version=1,
    )


AREAS: Final = {"A1": area("A1", 113.0), "A2": area("A2", 113.02)}
DRAWN: Final = Drawn(
    AREAS,
    AreaMap.fit({key: each.outline for key, each in AREAS.items()}, 400, 330),
    cast("Any", {}),
)


@dataclass
class Known:
    """What is known of the one report that there is."""

    events: Sequence[CaseEvent] = ()
    report: ReportSubmitted = field(
        default_factory=lambda: ReportSubmitted(source_id="1", text="The lamp is out")
    )
    later: Sequence[tuple[datetime, ReportSubmitted]] = ()
    outcome: str = "accepted"
    reasons: Sequence[str] = ()
    position: tuple[float, float] | None = (113.01, 23.01)
    """Longitude, latitude."""
    reachable: bool = False
    is_read: bool = True
    joined: bool = False
    sent: list[tuple[Channel, str, ReportSubmitted]] = field(default_factory=list)

    def followed(self) -> Followed | None:
        """The report with its case, as intake's tables have it."""
        if not self.is_read:
            return None
        longitude, latitude = self.position or (None, None)
        entries = [entry(event) for event in self.events]
        view = CaseView(CASE, "261122-0001234", 1, entries) if entries else None
        return Followed(
            REPORT, IDENTITY, "app", self.outcome, list(self.reasons), "06010", NOW,
            latitude, longitude, view, self.joined,
        )  # fmt: skip

    def entry(self) -> VaultEntry:
        """What the vault keeps of it."""
        usable = ContactCheck("CN").usable("13800138000" if self.reachable else None, None)
        sent = Sent("app", self.report, NOW)
        (made,) = normalise([sent], CategoryCodes(Categories()), ContactCheck("CN"))
        return VaultEntry.of(self.report, made._replace(reachable=usable))


class _Pool:
    @asynccontextmanager
    async def acquire(self, **_: Any) -> AsyncIterator[None]:
        yield None


class _Network:
    async def drawn(self) -> Drawn:
        return DRAWN


class _NoLimits:
    """Whoever asks may."""

    async def reserve(self, _: Any) -> None:
        return None

    reserve_even_without_database = reserve


class _Photos:
    """The city takes none, and there are none."""

    are_taken = False

    async def take(self, *_: Any) -> None:
        return None

    async def kept_with(self, _: Any) -> int:
        return 0

    async def of(self, _: bytes) -> list[Any]:
        return []


class _Submit:
    def __init__(self, known: Known) -> None:
        self._known = known

    async def __call__(
        self, channel: Channel, sender: str, sent: Sequence[ReportSubmitted], _: Any
    ) -> None:
        self._known.sent += [(channel, sender, report) for report in sent]


def client_of(known: Known, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Asks the pages, in English, as a browser does that follows no redirect."""

    async def followed(*_: Any) -> Followed | None:
        return known.followed()

    async def known_reports(_: Any, identities: Sequence[bytes]) -> dict[bytes, KnownReport]:
        fingerprint = VAULT.fingerprint(canonical(known.report))
        place = RecordPosition("channels.app", 0, 0, 0)
        return {
            each: KnownReport(REPORT, fingerprint, place) for each in identities if known.events
        }

    async def later(*_: Any) -> list[DuplicateRecord]:
        return [
            DuplicateRecord(
                RecordPosition("channels.app", 0, offset, int(at.timestamp() * 1000)),
                REPORT,
                "conflict",
                VAULT.seal(canonical(sent), REPORT.bytes),
            )
            for offset, (at, sent) in enumerate(known.later, 1)
        ]

    async def origin(*_: Any) -> ReportOrigin:
        return ReportOrigin("app", "web-form", known.report.source_id)

    async def sealed(_: Any, report_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        return {each: VAULT.seal(known.entry().to_json(), each.bytes) for each in report_ids}

    async def versions(*_: Any) -> dict[bytes, str]:
        return {IDENTITY: f"{len(known.events)}-{len(known.later)}"}

    monkeypatch.setattr(cases, "followed", followed)
    monkeypatch.setattr(cases, "versions", versions)
    monkeypatch.setattr(reports, "known", known_reports)
    monkeypatch.setattr(reports, "conflicts", later)
    monkeypatch.setattr(reports, "origin_of", origin)
    monkeypatch.setattr(reports, "sealed_of", sealed)
    host = cast("Any", SimpleNamespace(
        links=LINKS, pool=_Pool(), clock=SimpleNamespace(now=lambda: NOW)
    ))  # fmt: skip
    pages = Pages(
        "lastmetre.intake", static_path="/report/static", time_zone="Asia/Shanghai",
        city_names={"zh": "云桥市", "en": "Yunqiao"}, public_urls=PUBLIC_URLS,
    )  # fmt: skip
    check = ContactCheck("CN")
    categories = Categories(
        [Category(code="06010", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"))]
    )
    read, follow = ReadVault(host, VAULT, check), FollowReport(host)
    network, submit = cast("Any", _Network()), cast("Any", _Submit(known))
    attempts, photos = cast("Any", _NoLimits()), cast("Any", _Photos())
    limits = cast("Any", SimpleNamespace(reporting=lambda *_: []))
    app = guarded_app()
    app.include_router(
        report_router(
            ReportPages(
                LINKS, pages, network, categories, check,
                SubmitForm(host, submit, VAULT, check, attempts, limits),
                TellJustSent(follow, read), photos,
            )
        )
    )  # fmt: skip
    uses = ProgressUses(
        FindReport(host, read, attempts, limits), follow, TellProgress(host, read),
        AddToReport(host, submit),
    )  # fmt: skip
    events = ProgressEvents(LiveChanges(versions), RealClock(), most=0)
    app.include_router(
        progress_router(ProgressPages(host, pages, network, categories, uses, photos), events)
    )
    problems.install(app, pages)
    return TestClient(app, headers={"Accept-Language": "en"}, follow_redirects=False)


def progress_path() -> str:
    """The report's progress page."""
    return f"/progress/{LINKS.seal(LinkPurpose.PROGRESS, IDENTITY)}"
