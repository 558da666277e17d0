"""A small service of its own for the tests of the pages' kit."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from lastmetre.common.security.access import GuardedRoute
from lastmetre.common.web.kit import Pages

PUBLIC_URLS = {
    "intake": "https://city.example/",
    "dispatch": "https://city.example",
    "notify": "https://city.example",
    "metrics": "https://board.example:8443",
}

MakePages = Callable[[dict[str, str]], Pages]


@pytest.fixture
def make_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePages]:
    """Makes the pages of a service with the files given by their path in its package."""

    def make(contents: dict[str, str]) -> Pages:
        package = tmp_path / "sampleservice"
        for name, text in {"__init__.py": "", **contents}.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Pages(
            "sampleservice",
            static_path="/work/static",
            time_zone="Asia/Shanghai",
            city_names={"zh": "云桥市", "en": "Yunqiao"},
            public_urls=PUBLIC_URLS,
        )

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    sys.modules.pop("sampleservice", None)


def guarded_app() -> FastAPI:
    """An application whose routes all check who calls."""
    app = FastAPI(openapi_url=None)
    app.router.route_class = GuardedRoute
    return app
