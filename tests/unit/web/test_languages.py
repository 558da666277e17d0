import pytest

from lastmetre.common.web.languages import choose_language


@pytest.mark.parametrize(
    ("parameter", "cookie", "accepted", "language"),
    [
        (None, None, None, "zh"),
        ("en", "zh", "zh-CN", "en"),
        ("zh", "en", "en", "zh"),
        ("EN", None, None, "en"),
        ("fr", "en", "zh", "en"),
        ("", "", "en-GB,en;q=0.9", "en"),
        (None, "zh", "en", "zh"),
        (None, "klingon", "en", "en"),
        (None, None, "zh-TW", "zh"),
        (None, None, "zh_CN", "zh"),
        (None, None, "fr-FR, en;q=0.5, zh;q=0.8", "zh"),
        (None, None, "zh;q=0.1,en;q=0.2", "en"),
        (None, None, "en;q=0, zh;q=0", "zh"),
        (None, None, "en;q=much", "zh"),
        (None, None, "de,fr", "zh"),
        (None, None, "*", "zh"),
        (None, None, ";;,,;q=1", "zh"),
    ],
)
def test_parameter_then_cookie_then_header_then_chinese(
    parameter: str | None, cookie: str | None, accepted: str | None, language: str
) -> None:
    assert choose_language(parameter, cookie, accepted) == language
