import gzip
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jinja2
import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow, declared_access
from lastmetre.common.service.settings import ServiceSettings
from lastmetre.common.web import problems
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import package_directory
from tests.unit.web.conftest import MakePages, guarded_app

KIT = package_directory("lastmetre.common.web")
NOW = datetime(2026, 11, 22, 7, 18, tzinfo=UTC)

FILES = {
    "entrypoints/web/templates/page.html": """{% extends "kit/resident.html" %}
{% import "kit/macros.html" as kit %}{% block title %}{{ _("Street lamp") }}{% endblock %}
{% block main %}<h1>{{ _("Street lamp") }} {{ thing }}</h1><p>{{ _("Closed") }} {{ city }}</p>
{{ kit.due((now + left)|due(now)) }}<link href="{{ static_url('own.css') }}">
<a href="{{ service_url('metrics', '/board') }}">x</a>{% endblock %}""",
    "entrypoints/web/static/own.css": "p{}",
    "entrypoints/web/static/notes.md": "not served",
    "locale/zh/LC_MESSAGES/messages.po": 'msgid "Street lamp"\nmsgstr "路灯"\n',
}


@pytest.fixture
def app(make_pages: MakePages) -> FastAPI:
    pages = make_pages(FILES)
    app = guarded_app()

    @app.get("/work/page", dependencies=allow(Anyone()))
    async def show(request: Request) -> object:
        context = {"thing": "<b>", "now": NOW, "left": timedelta(minutes=9)}
        return pages.render(request, "page.html", context)

    @app.get("/work/unfinished", dependencies=allow(Anyone()))
    async def unfinished(request: Request) -> object:
        return pages.render(request, "page.html", {})

    pages.mount(app)
    problems.install(app, pages)
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app)


def test_a_page_in_both_languages(client: TestClient) -> None:
    chinese = client.get("/work/page")
    assert '<html lang="zh-CN">' in chinese.text
    assert chinese.headers["content-language"] == "zh-CN"
    assert "<h1>路灯 &lt;b&gt;</h1>" in chinese.text, "the service's words, and escaped"
    assert "<p>已办结 云桥市</p>" in chinese.text, "the kit's words"
    assert "还剩 9\N{NO-BREAK SPACE}分钟" in chinese.text
    assert 'data-due="2026-11-22T15:27:00+08:00"' in chinese.text
    assert 'href="https://board.example:8443/board"' in chinese.text
    english = client.get("/work/page", headers={"Accept-Language": "en-GB"})
    assert "<h1>Street lamp &lt;b&gt;</h1>" in english.text
    assert "<p>Closed Yunqiao</p>" in english.text


def test_the_language_link_keeps_the_query_and_is_remembered(client: TestClient) -> None:
    page = client.get("/work/page?page=2&area=%E8%A5%BF&token=t")
    assert 'href="?page=2&amp;area=%E8%A5%BF&amp;lang=en"' in page.text
    assert "set-cookie" not in page.headers
    english = client.get("/work/page?page=2&lang=en")
    assert "lastmetre_lang=en" in english.headers["set-cookie"]
    assert "Street lamp" in client.get("/work/page", headers={"Accept-Language": "zh"}).text
    assert "set-cookie" not in client.get("/work/page?lang=fr").headers


def test_a_page_is_compressed_where_that_is_understood(client: TestClient) -> None:
    plain = client.get("/work/page", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", "/work/page", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for path in ("/work/page", "/nowhere", "/work/static/kit/lm.css", "/work/unfinished"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self' https://board.example:8443 https://city.example;" in policy
        assert "unsafe" not in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_name_nobody_defined_is_an_error_not_a_blank(client: TestClient) -> None:
    assert client.get("/work/unfinished").status_code == 500


def test_files_are_kept_for_a_year_under_their_hash_only(client: TestClient) -> None:
    page = client.get("/work/page").text
    addresses = re.findall(r'"(/work/static/[^"#]+)', page)
    assert {address.partition("?")[0] for address in addresses} >= {
        "/work/static/kit/lm.css",
        "/work/static/kit/icons.svg",
        "/work/static/sampleservice/own.css",
    }
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        version = hashlib.sha256(answer.content).hexdigest()[:12]
        assert address.endswith(f"?v={version}")
        bare = client.get(address.partition("?")[0])
        assert bare.headers["cache-control"] == "no-cache"
        tag = {"If-None-Match": bare.headers["etag"]}
        assert client.get(address.partition("?")[0], headers=tag).status_code == 304


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "kit/nothing.css", 404),
        ("GET", "kit/css/base.css", 404),
        ("GET", "kit/../kit.py", 404),
        ("GET", "kit/%2e%2e/%2e%2e/kit.py", 404),
        ("GET", "sampleservice/notes.md", 404),
        ("GET", "", 404),
        ("POST", "kit/lm.css", 405),
        ("HEAD", "kit/lm.css", 200),
    ],
)
def test_only_what_is_meant_to_be_served_is(
    client: TestClient, method: str, path: str, status: int
) -> None:
    assert client.request(method, f"/work/static/{path}").status_code == status


def test_static_files_are_declared_open(app: FastAPI) -> None:
    declared = {route.path: route.rules for route in declared_access(app)}
    assert declared["/work/static"] == (Anyone(),)


def test_the_style_sheet_has_the_dark_tokens_for_choice_and_for_the_wall(
    client: TestClient,
) -> None:
    styles = client.get("/work/static/kit/lm.css").text
    assert "@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light])" in styles
    assert "@media screen{:root[data-theme=dark]" in styles
    assert styles.count("{") == styles.count("}")
    assert len(gzip.compress(styles.encode(), 9)) < 12_000


def _tokens(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", text))


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sheet", ["tokens", "dark"])
def test_texts_stand_out_from_their_ground(sheet: str) -> None:
    tokens = _tokens((KIT / f"static/css/{sheet}.css").read_text())
    soft = [(name, f"{name}-soft") for name in ("ok", "soon", "done", "act", "fall", "over")]
    on_surface = [(name, "surface") for name in ("ink", "ink2", "brand", "over", "done", "soon")]
    pairs = [*soft, *on_surface, ("ink2", "bg"), ("on-brand", "brand"), ("on-over", "over")]
    pairs += [("hero-ink", "hero"), ("hero-ink2", "hero"), ("brand", "brand-soft")]
    for text, ground in pairs:
        assert _contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
    assert _contrast(tokens["edge"], tokens["surface"]) >= 3
    on_map = {"ink": tokens["ink"], "bg": tokens["bg"], "white": "#fff"}
    for step in "12345":
        best = max(_contrast(colour, tokens[f"q{step}"]) for colour in on_map.values())
        assert best >= 4.5, f"a name on q{step}"


def _templates() -> list[Path]:
    return sorted((KIT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", _templates(), ids=lambda path: path.name)
def test_templates_have_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:|hx-on", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    jinja2.Environment(extensions=["jinja2.ext.i18n"]).parse(text)


def test_every_icon_a_template_names_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (KIT / "static/icons.svg").read_text()))
    named = set()
    for path in _templates():
        text = path.read_text()
        named |= set(re.findall(r'icon\("([\w-]+)"', text))
        named |= set(re.findall(r"icons\.svg'\) }}#([\w-]+)", text))
        named |= set(re.findall(r'"((?:st|tm)-\w+)"', text))
    assert {"check", "st-acc", "tm-over", "star"} <= named
    assert named <= sprite


def test_vendored_files_are_what_the_list_says() -> None:
    vendor = KIT / "static/vendor"
    listed = dict(
        re.findall(
            r"^\| `([\w.-]+\.js)`.*?`([0-9a-f]{64})`", (vendor / "VENDOR.md").read_text(), re.M
        )
    )
    actual = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.glob("*.js")
    }
    assert listed == actual


@pytest.mark.parametrize(
    ("notify", "intake", "staff", "messages"),
    [
        # As deploy/ has it: residents' host has no /messages.
        ("https://report.example", "https://report.example", "https://staff.example", "staff"),
        ("https://report.example/", "https://report.example", "https://staff.example", "staff"),
        # Each with an address of its own, as on a development stack.
        ("http://127.0.0.1:3", "http://127.0.0.1:1", "http://127.0.0.1:2", "notify"),
    ],
)
def test_links_for_staff_lead_to_their_host_and_ratings_to_residents(
    notify: str, intake: str, staff: str, messages: str
) -> None:
    told = ServiceSettings.model_construct(
        notify_public_url=notify,
        intake_public_url=intake,
        dispatch_public_url=staff,
        metrics_public_url=staff,
    )
    pages = Pages(
        "lastmetre.notify",
        static_path="/rate/static",
        time_zone="Asia/Shanghai",
        city_names={"zh": "云桥市", "en": "Yunqiao"},
        public_urls=told.public_urls,
        staff_urls=told.staff_urls,
    )
    base = {"staff": staff, "notify": notify}[messages]
    assert pages.service_url("notify", "/messages/log") == f"{base}/messages/log"
    assert (
        pages.service_url("notify", "/rate/x?progress=y")
        == f"{notify.rstrip('/')}/rate/x?progress=y"
    )
    assert pages.service_url("intake", "/report") == f"{intake}/report"
