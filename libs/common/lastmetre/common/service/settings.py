"""Settings from the environment. `NAME_FILE` may name a file that holds NAME's value."""

import base64
import os
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.service.clock import Clock, RealClock, TimeLapseClock


def _key_bytes(value: object) -> object:
    """32 random bytes as base64url, with or without padding."""
    if isinstance(value, str):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return value


KeyBytes = Annotated[bytes, BeforeValidator(_key_bytes), Field(min_length=32, repr=False)]


class FileSource(PydanticBaseSettingsSource):
    """Reads NAME from the file that NAME_FILE names, as container platforms hand out secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's content without the newline at its end."""
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field_name
        path = os.environ.get(f"{alias}_FILE")
        value = Path(path).read_text("utf-8").rstrip("\n") if path else None
        return value, alias, False

    def __call__(self) -> dict[str, Any]:
        """Every field that has a file."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            # A path that is itself a setting (…_FILE) is not a secret's file.
            if value is not None:
                found[key] = self.prepare_field_value(name, field, value, False)
        return found


class Settings(BaseSettings):
    """What every service reads. Names and values: README, Configuration."""

    # An empty variable is one that is not set: the stack blanks what must not leak in from outside.
    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    kafka_bootstrap_servers: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    topic_prefix: str = Field(default="", validation_alias="LASTMETRE_TOPIC_PREFIX")
    token_key: KeyBytes = Field(validation_alias="LASTMETRE_TOKEN_KEY")
    link_key: KeyBytes = Field(validation_alias="LASTMETRE_LINK_KEY")
    service_keys: dict[str, str] = Field(
        default_factory=dict, validation_alias="LASTMETRE_SERVICE_KEYS"
    )
    city_time_zone: ZoneInfo = Field(
        default=ZoneInfo("Asia/Shanghai"), validation_alias="LASTMETRE_CITY_TIME_ZONE"
    )
    city_name_zh: str = Field(default="云桥市", validation_alias="LASTMETRE_CITY_NAME_ZH")
    city_name_en: str = Field(default="Yunqiao", validation_alias="LASTMETRE_CITY_NAME_EN")
    categories_file: Path | None = Field(default=None, validation_alias="LASTMETRE_CATEGORIES_FILE")
    intake_public_url: str = Field(default="", validation_alias="INTAKE_PUBLIC_URL")
    dispatch_public_url: str = Field(default="", validation_alias="DISPATCH_PUBLIC_URL")
    notify_public_url: str = Field(default="", validation_alias="NOTIFY_PUBLIC_URL")
    metrics_public_url: str = Field(default="", validation_alias="METRICS_PUBLIC_URL")
    clock_file: Path | None = Field(default=None, validation_alias="LASTMETRE_CLOCK_FILE")

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

    @property
    def city_name(self) -> LocalName:
        """The city in both languages."""
        return LocalName(zh=self.city_name_zh, en=self.city_name_en)

    def clock(self) -> Clock:
        """The city's clock: real time, unless a file may hold a time-lapse."""
        real = RealClock()
        return TimeLapseClock(self.clock_file, real) if self.clock_file else real


class ServiceSettings(Settings):
    """What a service adds under its own name; each service's settings.py sets the aliases."""

    database_url: SecretStr
    http_host: str = "127.0.0.1"
    http_port: int
    service_key: SecretStr
