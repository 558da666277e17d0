"""A service that cannot start says which settings are wrong, and repeats none of their values."""

import base64
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from lastmetre.common.mapping.problems import MappingError
from lastmetre.common.service.starting import WRONG_SETTINGS
from lastmetre.common.service.wrong_settings import in_words
from lastmetre.metrics.settings import MetricsSettings

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
RIGHT = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "LASTMETRE_ACCESS_KEYS": KEY,
    "METRICS_DATABASE_URL": "postgresql://127.0.0.1:1/metrics",
    "METRICS_SERVICE_KEY": KEY,
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": None}, ["KAFKA_BOOTSTRAP_SERVERS is not set"]),
        ({"LASTMETRE_ACCESS_KEYS": None}, ["LASTMETRE_ACCESS_KEYS", "`lastmetre secrets make`"]),
        # Development tokens are good where that is said, and nowhere else.
        ({"LASTMETRE_ACCESS_KEYS": None, "LASTMETRE_TOKEN_KEY": KEY}, ["nobody could sign in"]),
        ({"LASTMETRE_SIGN_IN": "development"}, ["LASTMETRE_TOKEN_KEY"]),
        ({"LASTMETRE_SIGN_IN": "hunter2"}, ["LASTMETRE_SIGN_IN: "]),
        ({"LASTMETRE_TOKEN_KEY": "c2hvcnQ-hunter2"}, ["LASTMETRE_TOKEN_KEY: "]),
        ({"METRICS_HTTP_PORT": "hunter2"}, ["METRICS_HTTP_PORT: "]),
        ({"LASTMETRE_CITY_TIME_ZONE": "Asia/Nowhere"}, ["LASTMETRE_CITY_TIME_ZONE: "]),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, ["SASL_SSL needs KAFKA_SASL_MECHANISM"]),
        (
            {"METRICS_DATABASE_URL": None, "METRICS_SERVICE_KEY": None},
            ["METRICS_DATABASE_URL", "METRICS_SERVICE_KEY"],
        ),
        ({"LASTMETRE_TOKEN_KEY_FILE": "/nowhere/token.key"}, ["/nowhere/token.key: No such file"]),
    ],
)
def test_every_setting_that_is_wrong_is_named(
    given: dict[str, str | None], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (RIGHT | given).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, OSError)) as raised:
        MetricsSettings()
    words = in_words(raised.value) or ""
    assert all(each in words for each in said), words
    assert "hunter2" not in words


def test_a_mapping_that_is_wrong_is_named_with_its_lines() -> None:
    wrong = MappingError("grid-east.yaml", ["line 3, adress: did you mean 'address'?"])
    assert in_words(wrong) == (
        "the mapping grid-east.yaml: line 3, adress: did you mean 'address'?"
    )


def test_the_process_ends_with_these_words_and_no_traceback() -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "lastmetre.metrics"],
        env=kept | RIGHT | {"METRICS_SERVICE_KEY": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == WRONG_SETTINGS
    assert "METRICS_SERVICE_KEY is not set" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_error_of_ours_keeps_its_traceback() -> None:
    assert in_words(ValueError("a mistake")) is None
