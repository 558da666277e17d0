"""The words of each message, from a template for each kind and language.

A template's first line is the subject (for e-mail), the rest after an empty line the text.
"""

from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

from jinja2 import PackageLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lastmetre.common.categories import UNKNOWN, Categories
from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks, rating_identity
from lastmetre.common.service.clock import Clock
from lastmetre.common.text import one_line
from lastmetre.notify.domain.messages import Kind, lead_of, merged_report_of

LEFT_OUT: Final = {
    Language.CHINESE: "（收件人本人的链接）",
    Language.ENGLISH: "(the recipient's own link)",
}
"""What staff read in place of a link: it opens its recipient's own pages to whoever has it."""


class Described(Protocol):
    """A message as far as its words need it."""

    @property
    def case_id(self) -> UUID: ...
    @property
    def report_id(self) -> UUID: ...
    @property
    def seq(self) -> int: ...
    @property
    def recipient(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def lead_zh(self) -> str | None: ...
    @property
    def lead_en(self) -> str | None: ...


class Texts:
    """Writes messages. `urls` maps a service to what links to its pages start with, and `clock` is
    a real one: a lead's link holds for some days."""

    def __init__(
        self,
        links: SignedLinks,
        lead_links: LeadLinks,
        urls: dict[str, str],
        categories: Categories,
        clock: Clock,
    ) -> None:
        self._links = links
        self._lead_links = lead_links
        self._clock = clock
        self._urls = {name: url.rstrip("/") for name, url in urls.items()}
        self._categories = categories
        # The messages of a case often come close upon each other.
        self._progress = lru_cache(maxsize=32_768)(self._seal_progress)
        environment = ImmutableSandboxedEnvironment(
            loader=PackageLoader("lastmetre.notify", "texts"),
            undefined=StrictUndefined,
            autoescape=False,
            auto_reload=False,
        )
        self._templates: dict[tuple[str, str], Template] = {
            (kind, language): environment.get_template(f"{language.value}/{kind.value}.txt")
            for kind in Kind
            for language in Language
        }
        for template in self._templates.values():
            template.globals = {}  # none are used, and each rendering would copy them

    def write(self, message: Described, language: Language) -> tuple[str, str]:
        """Subject and text of a message."""
        lead_id = lead_of(message.recipient)
        progress = "" if lead_id else self._progress(message.report_id)
        rating = self._rating(message) if _asks_for_rating(message) else ""
        work = self._work(lead_id, message.number) if lead_id else ""
        return self._written(message, language, progress, rating, work)

    def write_without_links(self, message: Described, language: Language) -> tuple[str, str]:
        """Subject and text of a message as others than its recipient may read it."""
        link = LEFT_OUT[language]
        rating = link if _asks_for_rating(message) else ""
        return self._written(message, language, link, rating, link)

    def _written(
        self, message: Described, language: Language, progress: str, rating: str, work: str
    ) -> tuple[str, str]:
        category = None
        if message.category != UNKNOWN:
            category = _own(self._categories.name(message.category), language)
        lead = message.lead_zh if language is Language.CHINESE else message.lead_en
        text = self._templates[message.kind, language].render(
            number=message.number,
            lead=lead and one_line(lead),
            category=category,
            progress_link=progress,
            rating_link=rating,
            work_link=work,
        )
        subject, _, body = text.partition("\n\n")
        return one_line(subject), body.strip()

    def _seal_progress(self, report_id: UUID) -> str:
        token = self._links.seal(LinkPurpose.PROGRESS, report_id.bytes)
        return f"{self._urls['intake']}/progress/case/{token}"

    def _work(self, lead_id: str, number: str) -> str:
        secret = self._lead_links.seal(lead_id, self._clock.now())
        return f"{self._urls['dispatch']}/work/open/{secret}?case={number}"

    def _rating(self, message: Described) -> str:
        joined = merged_report_of(message.recipient)
        identity = rating_identity(message.case_id, message.seq, joined)
        return f"{self._urls['notify']}/rate/{self._links.seal(LinkPurpose.RATE, identity)}"


def _asks_for_rating(message: Described) -> bool:
    """Each reporter rates a closing for himself."""
    return message.kind == Kind.CLOSED


def _own(name: LocalName, language: Language) -> str:
    return name.zh if language is Language.CHINESE else name.en
