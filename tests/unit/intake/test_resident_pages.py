"""What residents are told, and what becomes of what they send. Findings as in docs/pages.md."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import (
    CaseAccepted,
    CaseCancelled,
    CaseClosed,
    CaseDispatched,
    CaseNoted,
    CaseRated,
    CaseRegistered,
    CaseResolved,
    CaseReturned,
    CaseUnplaced,
    CaseVerified,
)
from lastmetre.common.contracts.reports import (
    ReportSubmitted,
    SubmittedContact,
    SubmittedPosition,
)
from lastmetre.common.security.signed_links import LinkPurpose
from tests.unit.intake.resident_pages import (
    CASE,
    IDENTITY,
    LINKS,
    NOW,
    REPORT,
    Known,
    client_of,
    progress_path,
)
from tests.unit.intake.test_progress import ledger

CLOSED = (CaseRegistered, CaseDispatched, CaseResolved, CaseVerified, CaseClosed)
Open = Callable[[Known], TestClient]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The pages' client for what is known of a report."""
    return lambda known: client_of(known, monkeypatch)


def progress(known: Known, ask: Open) -> str:
    return str(ask(known).get(progress_path()).text)


def lines(page: str) -> list[str]:
    """The timeline's headings."""
    return re.findall(r"<h3>(.*?)</h3><time", page)


def test_a1_an_area_is_named_as_the_places_own_only_where_it_is(ask: Open) -> None:
    events = ledger(CaseRegistered, CaseDispatched)
    inside = progress(Known(events, position=(113.01, 23.01)), ask)
    assert "This spot is in Area A1. Li Min answers for it." in inside
    for elsewhere in ((113.03, 23.01), None):
        page = progress(Known(events, position=elsewhere), ask)
        assert "This spot is in" not in page
        assert "It was given to Li Min, who looks after Area A1." in page


def test_a2_what_nobody_did_is_not_ticked_and_nobody_checked(ask: Open) -> None:
    page = progress(Known(ledger(*CLOSED)), ask)
    assert re.findall(r'<li class="(\w*)"', page)[:5] == [
        "past",
        "past",
        "skipped",
        "skipped",
        "past",
    ]
    assert page.count("(done)") == 3
    assert lines(page) == [
        "Closed", "Resolved", "Sent to Li Min", "Registered as a case", "We received your report",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("wrong_area", "belongs to somebody else's area"),
        ("not_my_duty", "Somebody else is responsible"),
        ("not_found", "was not found at that place"),
        ("needs_other_unit", "Another department is needed"),
    ],
)
def test_b7_why_it_was_given_back(ask: Open, reason: str, words: str) -> None:
    events = ledger(CaseRegistered, CaseDispatched, CaseReturned, CaseUnplaced)
    events[2] = events[2].model_copy(update={"reason": reason})
    assert words in progress(Known(events), ask)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("not_for_the_city", "Another authority answers for it"),
        ("nothing_found", "Nothing was found at that place."),
        ("not_a_problem", "nothing that has to be dealt with"),
        ("a_code_of_a_partner", 'call <a class="nw" href="tel:12345">12345</a> to hear why'),
    ],
)
def test_b7_why_it_is_not_taken_further(ask: Open, reason: str, words: str) -> None:
    events = ledger(CaseRegistered, CaseUnplaced, CaseCancelled)
    events[2] = events[2].model_copy(update={"reason": reason})
    page = progress(Known(events), ask)
    assert words in page
    assert "a_code_of_a_partner" not in page
    assert "This is not taken further" in page


def test_what_staff_note_on_a_case_is_told_to_no_reporter(ask: Open) -> None:
    page = progress(Known(ledger(CaseRegistered, CaseDispatched, CaseNoted)), ask)
    told = re.findall(r'<li class="tl-[^"]*"|<time ', page)
    same = progress(Known(ledger(CaseRegistered, CaseDispatched)), ask)
    assert told == re.findall(r'<li class="tl-[^"]*"|<time ', same)
    assert "noted" not in page


@pytest.mark.parametrize("joined", [False, True])
def test_b9_a_closing_can_be_disputed_without_a_contact(ask: Open, joined: bool) -> None:
    """By each reporter for himself."""
    page = progress(Known(ledger(*CLOSED), joined=joined), ask)
    link = re.search(r'href="https://city\.example/rate/(\w+)\?progress=\w+&amp;solved=no"', page)
    assert link is not None
    closing = CASE.bytes + (5).to_bytes(4, "big")
    expected = closing + REPORT.bytes if joined else closing
    assert LINKS.open(LinkPurpose.RATE, link[1]) == expected


def test_b9_who_was_not_satisfied_is_not_told_that_it_is_resolved(ask: Open) -> None:
    page = progress(Known(ledger(*CLOSED, CaseRated)), ask)
    assert "Closed, but rated as not solved" in page
    assert "It is resolved" not in page
    assert "Have it taken up again" in page


def test_a_note_is_sent_as_the_reports_own_channel_sends(ask: Open) -> None:
    known = Known(ledger(CaseRegistered, CaseDispatched))
    answer = ask(known).post(progress_path(), data={"note": " It sparks now. "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{progress_path()}?added")
    [(channel, sender, sent)] = known.sent
    assert (channel, sender, sent.source_id) == (Channel.APP, "web-form", "1")
    assert sent.text == "It sparks now."


@pytest.mark.parametrize("note", ["", "x" * 2001])
def test_a_note_that_cannot_be_taken_stays_on_the_page(ask: Open, note: str) -> None:
    known = Known(ledger(CaseRegistered, CaseDispatched))
    answer = ask(known).post(progress_path(), data={"note": note})
    assert answer.status_code == 422
    assert note in answer.text
    assert known.sent == []


def test_nothing_is_added_to_a_case_that_has_ended(ask: Open) -> None:
    known = Known(ledger(*CLOSED))
    assert 'name="note"' not in progress(known, ask)
    assert ask(known).post(progress_path(), data={"note": "more"}).status_code == 422
    assert known.sent == []


def test_who_adds_without_an_end_is_to_call(ask: Open) -> None:
    later = [(NOW, ReportSubmitted(source_id="1", text=str(n))) for n in range(20)]
    known = Known(ledger(CaseRegistered, CaseDispatched), later=later)
    answer = ask(known).post(progress_path(), data={"note": "more"})
    assert answer.status_code == 422
    assert "Please call 12345" in answer.text


def test_b8_a_correction_stands_with_the_report(ask: Open) -> None:
    first = ReportSubmitted(source_id="1", text="The lamp is out", address="Lucky Road 12")
    corrected = first.model_copy(update={"address": "Lucky Road 112"})
    contact = first.model_copy(update={"contact": SubmittedContact(phone="13800138000")})
    note = ReportSubmitted(source_id="1", sub_channel="progress-page", text="It sparks")
    later = [
        (NOW + timedelta(minutes=minute), each)
        for minute, each in enumerate((corrected, corrected, note, contact))
    ]
    page = progress(Known(ledger(CaseRegistered, CaseDispatched), first, later), ask)
    added = page.partition("Added later")[2].partition("</section>")[0]
    assert re.findall(r'<p class="kept" lang="">(.*?)</p>', added) == [
        "Lucky Road 112",
        "It sparks",
    ]
    assert added.count("Sent once more with something changed") == 2
    assert added.count("or your contact is another") == 1


def form(**fields: str) -> dict[str, str]:
    return {
        "source_id": str(uuid4()),
        "text": "The lamp is out",
        "address": "Lucky Road 12",
    } | fields


def test_b8_what_was_sent_before_with_other_words_is_told_to_be_added(ask: Open) -> None:
    typed = form()
    known = Known()
    client = ask(known)
    first = client.post("/report", data=typed)
    assert first.headers["location"].startswith("/report/sent/")
    known.report, known.events = known.sent[0][2], ledger(CaseRegistered)
    again = client.post("/report", data=typed)
    assert again.headers["location"].startswith("/report/sent/"), "the same twice is no correction"
    other = client.post("/report", data=typed | {"address": "Lucky Road 112"})
    assert re.fullmatch(r"/progress/\w+\?added", other.headers["location"])
    assert len(known.sent) == 3


@pytest.mark.parametrize("path", ["/report", "/progress", progress_path()])
def test_a5_another_language_keeps_what_was_typed(ask: Open, path: str) -> None:
    known = Known(ledger(CaseRegistered, CaseDispatched))
    typed = {"text": "typed", "note": "typed", "number": "typed", "redisplay": "yes"}
    answer = ask(known).post(f"{path}?lang=zh", data=typed)
    assert answer.status_code == 200
    assert '<html lang="zh-CN">' in answer.text
    assert "typed" in answer.text
    assert "aria-invalid" not in answer.text
    assert known.sent == []


def test_b6_an_area_alone_is_no_exact_position(ask: Open) -> None:
    known = Known(ledger(CaseRegistered, CaseDispatched))
    ask(known).post("/report", data=form(area="A1"))
    position = known.sent[0][2].position
    assert position is not None
    # The area's corners are 1,024 m to the east or west and 1,112 m to the north or south.
    assert position.accuracy_metres == pytest.approx(1511, abs=2)
    known.report = known.sent[0][2]
    page = progress(known, ask)
    assert 'class="m-within"' in page
    assert "m-pin" not in page
    assert "Only roughly: somewhere within 1.5\N{NO-BREAK SPACE}km of the middle." in page


@pytest.mark.parametrize(("accuracy", "kept"), [("", None), ("35", 35.0), ("0", None)])
def test_how_exact_a_device_says_that_it_is_goes_along(
    ask: Open, accuracy: str, kept: float | None
) -> None:
    known = Known()
    ask(known).post("/report", data=form(lat="23.01", lng="113.01", accuracy=accuracy))
    position = known.sent[0][2].position
    assert position is not None
    assert (position.latitude, position.accuracy_metres) == (23.01, kept)


def test_a_place_that_was_tapped_is_a_point(ask: Open) -> None:
    exact = SubmittedPosition(latitude=23.01, longitude=113.01, accuracy_metres=20)
    report = ReportSubmitted(source_id="1", text="x", position=exact)
    page = progress(Known(ledger(CaseRegistered, CaseDispatched), report), ask)
    assert "m-pin" in page
    assert "m-within" not in page


def test_a_place_outside_every_area_has_no_map(ask: Open) -> None:
    assert "<svg viewBox" not in progress(Known(position=(100.0, 10.0)), ask).partition("<main")[2]


def test_a24_the_address_of_the_service_leads_to_the_form(ask: Open) -> None:
    answer = ask(Known()).get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/report")


def test_a4_what_is_said_of_a_contact(ask: Open) -> None:
    page = ask(Known()).get("/report").text
    assert "We tell you by text message and e-mail how it goes" in page
    assert "Staff see the number with its middle hidden" in page


def sent_page(known: Known, ask: Open) -> str:
    secret = LINKS.seal(LinkPurpose.PROGRESS, IDENTITY)
    return str(ask(known).get(f"/report/sent/{secret}").text)


def test_a17_without_a_contact_the_link_is_the_only_way_back(ask: Open) -> None:
    events = ledger(CaseRegistered, CaseDispatched)
    link = f'value="https://city.example{progress_path()}"'
    nobody = sent_page(Known(events), ask)
    assert "the only way back to your report" in nobody
    assert link in nobody
    reachable = sent_page(Known(events, reachable=True), ask)
    assert "the only way back" not in reachable
    assert link in reachable


def test_a17_what_happens_now_is_what_does(ask: Open) -> None:
    assert "Li Min deals with it" in sent_page(Known(ledger(CaseRegistered, CaseDispatched)), ask)
    unplaced = sent_page(Known(ledger(CaseRegistered, CaseUnplaced)), ask)
    assert "The command centre decides who deals with it" in unplaced
    assert "if that is not clear, the command centre decides" in sent_page(Known(), ask)


def test_a26_without_script_the_page_that_waits_is_loaded_again(ask: Open) -> None:
    refresh = '<noscript><meta http-equiv="refresh"'
    assert refresh in sent_page(Known(is_read=False), ask)
    assert refresh not in sent_page(Known(ledger(CaseRegistered, CaseDispatched)), ask)


def test_a26_a_closed_case_says_nothing_of_updates(ask: Open) -> None:
    assert "Updates by itself" in progress(Known(ledger(CaseRegistered, CaseDispatched)), ask)
    assert "Updates by itself" not in progress(Known(ledger(*CLOSED)), ask)


def test_a28_what_has_not_changed_is_not_sent_again(ask: Open) -> None:
    known = Known(ledger(CaseRegistered, CaseDispatched))
    client = ask(known)
    first = client.get(progress_path())
    condition = {"If-None-Match": first.headers["etag"]}
    same = client.get(progress_path(), headers=condition)
    assert (same.status_code, same.content) == (304, b"")
    known.events = ledger(CaseRegistered, CaseDispatched, CaseAccepted)
    changed = client.get(progress_path(), headers=condition)
    assert changed.status_code == 200
    assert "Li Min has accepted it" in changed.text


@pytest.mark.parametrize(
    ("text", "first"), [("井盖被盗，有人差点掉进去", True), ("The lamp is out", False)]
)
def test_who_reports_danger_is_told_first_whom_to_call(ask: Open, text: str, first: bool) -> None:
    client = ask(Known())
    sent_to = client.post("/report", data=form(text=text)).headers["location"]
    page = str(client.get(sent_to).text)
    main = page.partition("<main")[2].partition("What happens now")[0]
    assert ('href="tel:110"' in main) is first
    # The page asks again for itself until there is a number, and says it then, too.
    assert f'hx-get="{sent_to}"' in page
