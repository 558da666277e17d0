"""How Kafka is reached, from settings. Names and values: docs/configuration.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lastmetre.common.kafka.access import (
    KafkaAccess,
    Sasl,
    SaslMechanism,
    SecurityProtocol,
    TlsFiles,
    addresses,
)
from lastmetre.common.service.file_source import FileSource

NONE = SecretStr("")


class KafkaSettings(BaseModel):
    """The settings by their names in the environment."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL"
    )
    kafka_ssl_ca_file: Path | None = Field(default=None, validation_alias="KAFKA_SSL_CA_FILE")
    kafka_ssl_certificate_file: Path | None = Field(
        default=None, validation_alias="KAFKA_SSL_CERTIFICATE_FILE"
    )
    kafka_ssl_key_file: Path | None = Field(default=None, validation_alias="KAFKA_SSL_KEY_FILE")
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        default=None, validation_alias="KAFKA_SASL_MECHANISM"
    )
    kafka_sasl_username: str = Field(default="", validation_alias="KAFKA_SASL_USERNAME")
    kafka_sasl_password: SecretStr = Field(default=NONE, validation_alias="KAFKA_SASL_PASSWORD")
    kafka_oauth_token_url: str = Field(default="", validation_alias="KAFKA_OAUTH_TOKEN_URL")
    kafka_oauth_client_id: str = Field(default="", validation_alias="KAFKA_OAUTH_CLIENT_ID")
    kafka_oauth_client_secret: SecretStr = Field(
        default=NONE, validation_alias="KAFKA_OAUTH_CLIENT_SECRET"
    )
    kafka_oauth_scope: str = Field(default="", validation_alias="KAFKA_OAUTH_SCOPE")
    kafka_metadata_max_age: float = Field(
        default=20.0, gt=0, validation_alias="KAFKA_METADATA_MAX_AGE_SECONDS"
    )
    kafka_request_timeout: float = Field(
        default=4.0, gt=0, validation_alias="KAFKA_REQUEST_TIMEOUT_SECONDS"
    )
    kafka_session_timeout: float = Field(
        default=6.0, gt=0, validation_alias="KAFKA_SESSION_TIMEOUT_SECONDS"
    )
    kafka_heartbeat_interval: float = Field(
        default=1.5, gt=0, validation_alias="KAFKA_HEARTBEAT_INTERVAL_SECONDS"
    )
    kafka_rebalance_timeout: float = Field(
        default=60.0, gt=0, validation_alias="KAFKA_REBALANCE_TIMEOUT_SECONDS"
    )

    @property
    def kafka(self) -> KafkaAccess:
        """What every client is made from."""
        sasl = self.kafka_sasl_mechanism and Sasl(
            self.kafka_sasl_mechanism,
            self.kafka_sasl_username,
            self.kafka_sasl_password.get_secret_value(),
            self.kafka_oauth_token_url,
            self.kafka_oauth_client_id,
            self.kafka_oauth_client_secret.get_secret_value(),
            self.kafka_oauth_scope,
        )
        return KafkaAccess(
            addresses(self.kafka_bootstrap_servers),
            self.kafka_security_protocol,
            TlsFiles(
                self.kafka_ssl_ca_file, self.kafka_ssl_certificate_file, self.kafka_ssl_key_file
            ),
            sasl or None,
            metadata_max_age=self.kafka_metadata_max_age,
            request_timeout=self.kafka_request_timeout,
            session_timeout=self.kafka_session_timeout,
            heartbeat_interval=self.kafka_heartbeat_interval,
            rebalance_timeout=self.kafka_rebalance_timeout,
        )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        _ = self.kafka
        return self


class EnvironmentSettings(KafkaSettings, BaseSettings):
    """The same from the environment, and whatever a service or a tool of it adds."""

    # An empty variable is one that is not set: the stack blanks what must not leak in from outside.
    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    topic_prefix: str = Field(default="", validation_alias="LASTMETRE_TOPIC_PREFIX")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the files that it names."""
        return init_settings, env_settings, FileSource(settings_cls)


SECURITY_SETTINGS: Final = tuple(
    f"{field.validation_alias}{suffix}"
    for field in KafkaSettings.model_fields.values()
    for suffix in ("", "_FILE")
    if str(field.validation_alias).startswith(
        ("KAFKA_SECURITY_", "KAFKA_SSL_", "KAFKA_SASL_", "KAFKA_OAUTH_")
    )
)
"""The names of all that says how a cluster is entered, and of the files that may hold it."""


def from_environment() -> KafkaAccess:
    """For what is no service. Raises pydantic.ValidationError, which says what is wrong."""
    return EnvironmentSettings().kafka


def from_source(get: Callable[[str], str | None]) -> KafkaAccess:
    """The same from values by name, as a profile has them. Raises pydantic.ValidationError."""
    names = [str(field.validation_alias) for field in KafkaSettings.model_fields.values()]
    found = {name: value for name in names if (value := get(name))}
    return KafkaSettings.model_validate(found).kafka
