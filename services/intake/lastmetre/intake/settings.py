"""What intake reads from its environment, beside what every service reads."""

from pathlib import Path

from pydantic import Field, SecretStr

from lastmetre.common.service.settings import KeyBytes, ServiceSettings


class IntakeSettings(ServiceSettings):
    """Settings of the intake service. Durations are in seconds, sizes in bytes."""

    database_url: SecretStr = Field(validation_alias="INTAKE_DATABASE_URL")
    http_host: str = Field(default="127.0.0.1", validation_alias="INTAKE_HTTP_HOST")
    http_port: int = Field(default=8101, validation_alias="INTAKE_HTTP_PORT")
    service_key: SecretStr = Field(validation_alias="INTAKE_SERVICE_KEY")

    vault_key: KeyBytes = Field(validation_alias="INTAKE_VAULT_KEY")
    channel_keys_file: Path = Field(validation_alias="INTAKE_CHANNEL_KEYS_FILE")
    category_map_file: Path | None = Field(
        default=None, validation_alias="INTAKE_CATEGORY_MAP_FILE"
    )
    phone_region: str = Field(default="CN", validation_alias="INTAKE_PHONE_REGION")

    single_bytes: int = Field(default=256 * 1024, gt=0, validation_alias="INTAKE_SINGLE_BODY_BYTES")
    array_bytes: int = Field(
        default=8 * 1024 * 1024, gt=0, validation_alias="INTAKE_ARRAY_BODY_BYTES"
    )
    array_items: int = Field(default=1000, gt=0, validation_alias="INTAKE_ARRAY_ITEMS")
    bytes_in_flight: int = Field(
        default=64 * 1024 * 1024, gt=0, validation_alias="INTAKE_BYTES_IN_FLIGHT"
    )
    acknowledge_within: float = Field(
        default=5.0, gt=0, validation_alias="INTAKE_ACKNOWLEDGE_WITHIN_SECONDS"
    )
    backup_interval: float = Field(
        default=86_400.0, ge=0, validation_alias="INTAKE_BACKUP_INTERVAL_SECONDS"
    )
    trim_after: float = Field(default=3600.0, ge=0, validation_alias="INTAKE_TRIM_AFTER_SECONDS")
    trim_every: float = Field(default=60.0, gt=0, validation_alias="INTAKE_TRIM_EVERY_SECONDS")
