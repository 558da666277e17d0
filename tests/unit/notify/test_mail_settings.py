"""How mail is protected on its way: finding 28 of the inputs that went wrong."""

import pytest
from pydantic import ValidationError

from lastmetre.notify.settings import NotifySettings


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    needed = {
        "NOTIFY_DATABASE_URL": "postgresql://x",
        "NOTIFY_SERVICE_KEY": "x" * 32,
        "INTAKE_INTERNAL_URL": "http://x",
        "KAFKA_BOOTSTRAP_SERVERS": "x:1",
        "LASTMETRE_ACCESS_KEYS": "x" * 64,
        "LASTMETRE_LINK_KEY": "x" * 64,
    }
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("set_to", "implicit"),
    [
        ({}, False),
        ({"NOTIFY_SMTP_PORT": "465"}, True),
        ({"NOTIFY_SMTP_PORT": "465", "NOTIFY_SMTP_TLS": "false"}, False),
        ({"NOTIFY_SMTP_PORT": "2465", "NOTIFY_SMTP_TLS": "true"}, True),
        ({"NOTIFY_SMTP_PORT": "587", "NOTIFY_SMTP_STARTTLS": "true"}, False),
    ],
)
def test_28_port_465_is_tls_from_the_first_byte(
    mail: pytest.MonkeyPatch, set_to: dict[str, str], implicit: bool
) -> None:
    for name, value in set_to.items():
        mail.setenv(name, value)
    assert NotifySettings().smtp_implicit_tls is implicit


@pytest.mark.parametrize(
    ("set_to", "starts"),
    [
        ({}, True),
        ({"NOTIFY_SMTP_PORT": "587"}, True),
        ({"NOTIFY_SMTP_PORT": "465"}, False),
        ({"NOTIFY_SMTP_PORT": "2465", "NOTIFY_SMTP_TLS": "true"}, False),
        ({"NOTIFY_SMTP_PORT": "465", "NOTIFY_SMTP_TLS": "false"}, True),
        ({"NOTIFY_SMTP_STARTTLS": "false"}, False),
    ],
)
def test_l8_mail_goes_in_the_clear_only_if_that_is_said(
    mail: pytest.MonkeyPatch, set_to: dict[str, str], starts: bool
) -> None:
    for name, value in set_to.items():
        mail.setenv(name, value)
    assert NotifySettings().smtp_starts_tls is starts


def test_28_both_kinds_of_tls_are_a_mistake_that_is_told_at_the_start(
    mail: pytest.MonkeyPatch,
) -> None:
    mail.setenv("NOTIFY_SMTP_PORT", "465")
    mail.setenv("NOTIFY_SMTP_STARTTLS", "true")
    with pytest.raises(ValidationError, match="NOTIFY_SMTP_TLS"):
        NotifySettings()


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"NOTIFY_SMTP_STARTTLS": "false"}, True),
        (
            {
                "NOTIFY_SMTP_PORT": "465",
                "NOTIFY_SMTP_TLS": "false",
                "NOTIFY_SMTP_STARTTLS": "false",
            },
            True,
        ),
        ({"NOTIFY_SMTP_PORT": "25"}, False),
        ({"NOTIFY_SMTP_PORT": "587", "NOTIFY_SMTP_STARTTLS": "true"}, False),
        ({"NOTIFY_SMTP_PORT": "465"}, False),
    ],
)
def test_a_password_goes_by_tls_or_not_at_all(
    mail: pytest.MonkeyPatch, more: dict[str, str], refused: bool
) -> None:
    for name, value in {**more, "NOTIFY_SMTP_USER": "x", "NOTIFY_SMTP_PASSWORD": "y"}.items():
        mail.setenv(name, value)
    if refused:
        with pytest.raises(ValidationError, match="NOTIFY_SMTP_PASSWORD"):
            NotifySettings()
    else:
        assert NotifySettings().smtp_password is not None
