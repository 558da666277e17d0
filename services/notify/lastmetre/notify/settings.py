"""What notify reads from its environment."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from lastmetre.common.service.settings import LinkSettings

SUBMISSIONS_PORT: Final = 465
"""RFC 8314: mail submission with TLS from the first byte."""


class NotifySettings(LinkSettings):
    """Settings of the notify service. Durations are in seconds."""

    database_url: SecretStr = Field(validation_alias="NOTIFY_DATABASE_URL")
    http_host: str = Field(default="127.0.0.1", validation_alias="NOTIFY_HTTP_HOST")
    http_port: int = Field(default=8103, validation_alias="NOTIFY_HTTP_PORT")
    admin_host: str = Field(default="", validation_alias="NOTIFY_ADMIN_HOST")
    admin_port: int = Field(default=8113, validation_alias="NOTIFY_ADMIN_PORT")
    service_key: SecretStr = Field(validation_alias="NOTIFY_SERVICE_KEY")

    intake_internal_url: str = Field(validation_alias="INTAKE_INTERNAL_URL")
    provider: Literal["folder", "sink"] = Field(
        default="folder", validation_alias="NOTIFY_PROVIDER"
    )
    outbox_directory: Path = Field(
        default=Path(".lastmetre/outbox"), validation_alias="NOTIFY_OUTBOX_DIRECTORY"
    )
    expire_after: float = Field(
        default=24 * 3600, gt=0, validation_alias="NOTIFY_EXPIRE_AFTER_SECONDS"
    )
    retry_first: float = Field(default=5, gt=0, validation_alias="NOTIFY_RETRY_FIRST_SECONDS")
    retry_longest: float = Field(default=300, gt=0, validation_alias="NOTIFY_RETRY_LONGEST_SECONDS")

    smtp_host: str = Field(default="", validation_alias="NOTIFY_SMTP_HOST")
    smtp_port: int = Field(default=25, validation_alias="NOTIFY_SMTP_PORT")
    smtp_from: str = Field(
        default="no-reply@lastmetre.invalid", validation_alias="NOTIFY_SMTP_FROM"
    )
    smtp_starttls: bool | None = Field(
        default=None,
        validation_alias="NOTIFY_SMTP_STARTTLS",
        description="TLS after the greeting; unset: unless it is there from the first byte. False:"
        " mail goes in the clear",
    )
    smtp_tls: bool | None = Field(
        default=None,
        validation_alias="NOTIFY_SMTP_TLS",
        description="TLS from the first byte; unset: on port 465",
    )
    smtp_user: str | None = Field(default=None, validation_alias="NOTIFY_SMTP_USER")
    smtp_password: SecretStr | None = Field(default=None, validation_alias="NOTIFY_SMTP_PASSWORD")
    smtp_timeout: float = Field(default=15, gt=0, validation_alias="NOTIFY_SMTP_TIMEOUT_SECONDS")

    @property
    def smtp_implicit_tls(self) -> bool:
        """Whether TLS begins with the connection."""
        return self.smtp_port == SUBMISSIONS_PORT if self.smtp_tls is None else self.smtp_tls

    @property
    def smtp_starts_tls(self) -> bool:
        """Whether TLS begins after the greeting."""
        return not self.smtp_implicit_tls if self.smtp_starttls is None else self.smtp_starttls

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.smtp_password and not (self.smtp_starts_tls or self.smtp_implicit_tls):
            raise ValueError(
                "NOTIFY_SMTP_PASSWORD needs NOTIFY_SMTP_STARTTLS or NOTIFY_SMTP_TLS: else it would"
                " go to the mail server in the clear"
            )
        return self

    @model_validator(mode="after")
    def _one_kind_of_tls(self) -> Self:
        if self.smtp_starttls and self.smtp_implicit_tls:
            raise ValueError(
                "NOTIFY_SMTP_STARTTLS and NOTIFY_SMTP_TLS exclude each other, and port 465 is TLS"
                " from the first byte unless NOTIFY_SMTP_TLS is false"
            )
        return self
