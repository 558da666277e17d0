"""The words of the messages, in both languages."""

from datetime import UTC, datetime
from itertools import product

import pytest

from lastmetre.common.categories import Categories, Category
from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.notify.adapters.postgres.sending import Due
from lastmetre.notify.adapters.texts import LEFT_OUT, Texts
from lastmetre.notify.domain.messages import REPORTER, Kind, merged_recipient
from lastmetre.notify.domain.ratings import Closing, closing_of
from tests.unit.notify.ledger import CASE, REPORT

LINKS = SignedLinks(b"k" * 32)
URLS = {"intake": "http://in/", "dispatch": "http://di", "notify": "http://no"}
RUBBISH = Category(code="E06010", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"))
LEAD_LINKS = LeadLinks(b"t" * 32)
SENT_AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


class Stopped:
    """A clock that stands still."""

    def now(self) -> datetime:
        return SENT_AT


TEXTS = Texts(LINKS, LEAD_LINKS, URLS, Categories([RUBBISH]), Stopped())


def due(kind: Kind, lead: bool = True, category: str = "E06010") -> Due:
    return Due(
        CASE, REPORTER, 6, 0, 1, "", kind.value, datetime(2026, 11, 22, tzinfo=UTC), "00-t",
        "李敏" if lead else None, "Li Min" if lead else None, REPORT, "261122-0418", "zh", category,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "language", "lead"), list(product(Kind, Language, (True, False))))
def test_every_message_has_words(kind: Kind, language: Language, lead: bool) -> None:
    subject, body = TEXTS.write(due(kind, lead), language)
    assert "261122-0418" in subject
    assert "\n" not in subject
    assert "261122-0418" in body
    assert "None" not in subject + body
    assert "{" not in subject + body
    has_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in subject + body)
    assert has_chinese == (language is Language.CHINESE)
    assert "你" not in body, "residents are 您, leads get short commands"


@pytest.mark.parametrize("line_break", ["\n", "\n\n", "\r\n", "\u2028", "\x85"])
@pytest.mark.parametrize(("kind", "language"), list(product(Kind, Language)))
def test_9_a_line_break_in_a_leads_name_changes_neither_subject_nor_body(
    kind: Kind, language: Language, line_break: str
) -> None:
    plain = due(kind)._replace(lead_zh="白 云", lead_en="Bai Yun")
    broken = due(kind)._replace(lead_zh=f"白{line_break}云", lead_en=f"Bai{line_break}Yun")
    assert TEXTS.write(broken, language) == TEXTS.write(plain, language)


def test_who_answers_is_named() -> None:
    _, zh = TEXTS.write(due(Kind.RECEIVED), Language.CHINESE)
    _, en = TEXTS.write(due(Kind.RECEIVED, lead=False), Language.ENGLISH)
    assert zh.startswith("已收到，编号 261122-0418。由片长李敏负责")
    assert "command centre" in en


def test_leads_are_told_what_it_is() -> None:
    assert "暴露垃圾" in TEXTS.write(due(Kind.ASSIGNED), Language.CHINESE)[1]
    unknown = TEXTS.write(due(Kind.ASSIGNED, category="unknown"), Language.CHINESE)[1]
    assert unknown.startswith("新任务 261122-0418。请接单")
    to_lead = due(Kind.ASSIGNED)._replace(recipient="lead:L017")
    assert "http://di/work" in TEXTS.write(to_lead, Language.ENGLISH)[1]


def test_links_open_what_they_are_for() -> None:
    _, body = TEXTS.write(due(Kind.CLOSED), Language.ENGLISH)
    addresses = dict(word.rsplit("/", 1) for word in body.split() if word.startswith("http://"))
    assert set(addresses) == {"http://no/rate", "http://in/progress/case"}
    identity = LINKS.open(LinkPurpose.RATE, addresses["http://no/rate"])
    assert closing_of(identity) == Closing(CASE, 6)
    assert LINKS.open(LinkPurpose.PROGRESS, addresses["http://in/progress/case"]) == REPORT.bytes


def test_who_joined_rates_for_himself() -> None:
    joined = due(Kind.CLOSED)._replace(recipient=merged_recipient(REPORT))
    for language in Language:
        _, body = TEXTS.write(joined, language)
        links = dict(word.rsplit("/", 1) for word in body.split() if word.startswith("http://"))
        identity = LINKS.open(LinkPurpose.RATE, links["http://no/rate"])
        assert closing_of(identity) == Closing(CASE, 6, REPORT)
        assert LEFT_OUT[language] in TEXTS.write_without_links(joined, language)[1]


@pytest.mark.parametrize("identity", [None, b"", CASE.bytes, CASE.bytes + b"\0" * 4, b"x" * 21])
def test_what_names_no_closing(identity: bytes | None) -> None:
    assert closing_of(identity) is None


def test_a_closing_is_rated_once() -> None:
    assert Closing(CASE, 6).feedback_id == Closing(CASE, 6).feedback_id
    assert Closing(CASE, 6).feedback_id != Closing(CASE, 9).feedback_id
    ids = {
        each
        for closing in (Closing(CASE, 6), Closing(CASE, 6, REPORT), Closing(CASE, 6, CASE))
        for each in (closing.feedback_id, closing.reopening_id)
    }
    assert len(ids) == 6, "each reporter's own"


@pytest.mark.parametrize(("kind", "language"), list(product(Kind, Language)))
def test_staff_read_the_words_without_the_links(kind: Kind, language: Language) -> None:
    """Whoever has a link acts in its recipient's name."""
    sent = TEXTS.write(due(kind), language)[1]
    read = TEXTS.write_without_links(due(kind), language)[1]
    assert "http://" not in read
    words = [line for line in sent.splitlines() if "http" not in line]
    assert [line for line in words if line not in read] == []


@pytest.mark.parametrize("language", Language)
def test_a_leads_message_signs_him_in_and_names_the_case(language: Language) -> None:
    """B10: the link of before asked for a sign-in that a fresh browser does not have."""
    message = due(Kind.ASSIGNED)._replace(recipient="lead:L017")
    link = next(w for w in TEXTS.write(message, language)[1].split() if w.startswith("http://di"))
    secret = link.removeprefix("http://di/work/open/").removesuffix("?case=261122-0418")
    assert LEAD_LINKS.open(secret, SENT_AT) == "L017"
