"""Settings of dispatch; the rest is in lastmetre.common.service.settings."""

from pathlib import Path

from pydantic import Field, SecretStr

from lastmetre.common.service.kafka_settings import EnvironmentSettings
from lastmetre.common.service.settings import ServiceSettings


class DispatchSettings(ServiceSettings):
    """What dispatch reads from the environment."""

    database_url: SecretStr = Field(validation_alias="DISPATCH_DATABASE_URL")
    http_host: str = Field(default="127.0.0.1", validation_alias="DISPATCH_HTTP_HOST")
    http_port: int = Field(default=8102, validation_alias="DISPATCH_HTTP_PORT")
    admin_host: str = Field(default="", validation_alias="DISPATCH_ADMIN_HOST")
    admin_port: int = Field(default=8112, validation_alias="DISPATCH_ADMIN_PORT")
    service_key: SecretStr = Field(validation_alias="DISPATCH_SERVICE_KEY")
    intake_internal_url: str = Field(validation_alias="INTAKE_INTERNAL_URL")
    notify_internal_url: str = Field(validation_alias="NOTIFY_INTERNAL_URL")
    undo_seconds: float = Field(
        default=10,
        ge=0,
        le=120,
        validation_alias="DISPATCH_UNDO_SECONDS",
        description="how long a step on a page can be taken back before it is decided; 0: not",
    )
    category_confidence: float = Field(
        default=0.8,
        ge=0,
        le=1,
        validation_alias="DISPATCH_CATEGORY_CONFIDENCE",
        description="from which on a kind that a report's words suggest is chosen beforehand",
    )
    duplicate_metres: float = Field(
        default=60,
        ge=0,
        le=2000,
        validation_alias="DISPATCH_DUPLICATE_METRES",
        description="how far apart two cases that are perhaps the same may be; 0: at one spot only",
    )
    duplicate_hours: float = Field(
        default=7 * 24,
        ge=0,
        le=366 * 24,
        validation_alias="DISPATCH_DUPLICATE_HOURS",
        description="and between the times at which they were reported",
    )
    field_systems_file: Path | None = Field(
        default=None, validation_alias="DISPATCH_FIELD_SYSTEMS_FILE"
    )


class RecoverSettings(EnvironmentSettings):
    """What a recovery reads: it serves nobody, and needs no keys."""

    database_url: SecretStr = Field(validation_alias="DISPATCH_DATABASE_URL")
