"""Renders pages: a service's templates on the kit's, in the reader's language."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse

from lastmetre.common.contracts.publishing import STAFF, published_by
from lastmetre.common.security.callers import TOKEN_PARAMETER
from lastmetre.common.web.assets import Asset, StaticFiles, kit_assets, read_assets
from lastmetre.common.web.cookies import by_tls, cookie_name
from lastmetre.common.web.headers import SecurityHeaders
from lastmetre.common.web.languages import (
    LANGUAGE_COOKIE,
    LANGUAGE_PARAMETER,
    LANGUAGES,
    Language,
    choose_language,
    known_language,
    load_translations,
    package_directory,
)
from lastmetre.common.web.wording import Wording

_KIT = "lastmetre.common.web"
_YEAR = 365 * 86400
_PERSONAL = (
    "/progress/",
    "/report/sent/",
    "/work",
    "/centre",
    "/cases",
    "/messages",
    "/rate/",
    "/sign-",
)
_WORTH_COMPRESSING = 1024


@dataclass(frozen=True, slots=True)
class PageContext:
    """What every template knows about the page it makes, as `page`."""

    path: str
    other_language_url: str


class Pages:
    """The pages of one service.

    `service_package` (as "lastmetre.dispatch") holds `entrypoints/web/templates`,
    `entrypoints/web/static` and `locale`.
    `static_path` is where the files are served, below one of the service's own path prefixes since
    all services may share a host. `public_urls` maps each service to what links to its pages start
    with, `staff_urls` to those for staff where they are elsewhere; `city_names` each language to
    the city's name. `sign_in_url` is where staff see and end their sign-in; empty: nowhere.
    """

    def __init__(
        self,
        service_package: str,
        *,
        static_path: str,
        time_zone: str,
        city_names: Mapping[Language, str],
        public_urls: Mapping[str, str],
        staff_urls: Mapping[str, str] | None = None,
        sign_in_url: str = "",
    ) -> None:
        self._web = package_directory(service_package) / "entrypoints" / "web"
        self._service = service_package.rpartition(".")[2]
        self._static_path = static_path.rstrip("/")
        self._public_urls = {name: url.rstrip("/") for name, url in public_urls.items()}
        self._staff_urls = {
            name: url.rstrip("/") for name, url in (staff_urls or public_urls).items()
        }
        self._sign_in_url = sign_in_url
        self._assets = self._read_assets()
        self.translations = load_translations(service_package)
        self.wordings = {
            language: Wording(language, ZoneInfo(time_zone), self.translations[language])
            for language in LANGUAGES
        }
        self._environments = {
            language: self._environment(language, city_names[language]) for language in LANGUAGES
        }

    def _read_assets(self) -> dict[str, Asset]:
        kit = kit_assets(package_directory(_KIT) / "static")
        own = read_assets(self._web / "static")
        return {f"kit/{name}": asset for name, asset in kit.items()} | {
            f"{self._service}/{name}": asset for name, asset in own.items()
        }

    def _environment(self, language: Language, city: str) -> Environment:
        wording = self.wordings[language]
        environment = Environment(
            loader=ChoiceLoader(
                [
                    FileSystemLoader(self._web / "templates"),
                    FileSystemLoader(package_directory(_KIT) / "templates"),
                ]
            ),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_translations(  # type: ignore[attr-defined]
            self.translations[language], newstyle=True
        )
        environment.globals.update(
            ngettext=_with_figures(environment.globals["ngettext"], wording),
            lang=language,
            html_lang="zh-CN" if language == "zh" else "en",
            city=city,
            dot=wording.dot,
            kit_url=lambda name: self._asset_url(f"kit/{name}"),
            static_url=lambda name: self._asset_url(f"{self._service}/{name}"),
            service_url=self.service_url,
            sign_in_url=self._sign_in_url,
        )
        words = ("iso", "clock", "seconds", "day", "date", "when", "short", "duration", "quantity")
        figures = ("due", "number", "percent", "distance", "own")
        environment.filters.update({name: getattr(wording, name) for name in words + figures})
        return environment

    def _asset_url(self, name: str) -> str:
        return f"{self._static_path}/{name}?v={self._assets[name].version}"

    def service_url(self, service: str, path: str) -> str:
        """The public address of a page of any service, as `service_url("intake", "/report")`."""
        for_staff = published_by(STAFF, path) == service
        return (self._staff_urls if for_staff else self._public_urls)[service] + path

    def language_of(self, request: Request) -> Language:
        """The language this reader gets."""
        return choose_language(
            request.query_params.get(LANGUAGE_PARAMETER),
            request.cookies.get(cookie_name(request, LANGUAGE_COOKIE)),
            request.headers.get("accept-language"),
        )

    def render(
        self, request: Request, template: str, context: Mapping[str, Any], status_code: int = 200
    ) -> HTMLResponse:
        """A page, or a part of one, in the reader's language. A cookie remembers `?lang=`."""
        language = self.language_of(request)
        page = PageContext(request.url.path, _other_language_url(request, language))
        text = self._environments[language].get_template(template).render(context, page=page)
        body = text.encode("utf-8", "replace")
        headers = {
            "Content-Language": "zh-CN" if language == "zh" else "en",
            "Cache-Control": cache_control(request.url.path),
            "Vary": "Accept-Language, Cookie, Accept-Encoding",
        }
        accepted = request.headers.get("accept-encoding", "")
        tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers["ETag"] = tag
        if status_code == 200 and tag in request.headers.get("if-none-match", ""):
            # A page that asks again and again for what has not changed loads next to nothing.
            body, status_code = b"", 304
        if len(body) > _WORTH_COMPRESSING and "gzip" in accepted:
            body = gzip.compress(body, 5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        response = HTMLResponse(body, status_code, headers)
        if known_language(request.query_params.get(LANGUAGE_PARAMETER)):
            response.set_cookie(
                cookie_name(request, LANGUAGE_COOKIE),
                language,
                max_age=_YEAR,
                samesite="lax",
                secure=by_tls(request),
            )
        return response

    def mount(self, app: FastAPI) -> None:
        """Serve the static files, and send the security headers with every answer of `app`."""
        app.mount(self._static_path, StaticFiles(self._assets))
        app.add_middleware(SecurityHeaders, form_targets=self._form_targets())

    def _form_targets(self) -> list[str]:
        """Where a form may lead: here, and the other services' pages that answers redirect to."""
        origins = {urlsplit(url)[:2] for url in self._public_urls.values()}
        return ["'self'", *sorted(f"{scheme}://{host}" for scheme, host in origins)]


def cache_control(path: str) -> str:
    """What a browser may keep of a page: of those with names and what somebody wrote nothing, not
    even on its disk; of others a copy, so that what was typed is there after a step back."""
    return "no-store" if path.startswith(_PERSONAL) else "private, no-cache"


def _with_figures(ngettext: Any, wording: Wording) -> Any:
    """The templates' `ngettext`, whose `%(num)s` is written as figures are: `1,570`."""

    @pass_context
    def counted(context: Context, one: str, many: str, number: int, **values: object) -> str:
        values.setdefault("num", wording.number(number))
        text: str = ngettext(context, one, many, number, **values)
        return text

    return counted


def _other_language_url(request: Request, language: Language) -> str:
    """This page's address in the other language, the rest of the query kept."""
    other = next(name for name in LANGUAGES if name != language)
    left_out = (LANGUAGE_PARAMETER, TOKEN_PARAMETER)
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in left_out]
    return "?" + urlencode([*kept, (LANGUAGE_PARAMETER, other)])
