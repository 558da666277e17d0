"""Settings from the environment. `NAME_FILE` may name a file that holds NAME's value."""

import base64
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.service.clock import Clock, RealClock, TimeLapseClock
from lastmetre.common.service.kafka_settings import EnvironmentSettings


def _key_bytes(value: object) -> object:
    """32 random bytes as base64url, with or without padding."""
    if isinstance(value, str):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return value


KeyBytes = Annotated[bytes, BeforeValidator(_key_bytes), Field(min_length=32, repr=False)]


CITY_TIME_ZONE: Final = Field(
    default=ZoneInfo("Asia/Shanghai"), validation_alias="LASTMETRE_CITY_TIME_ZONE"
)


class Settings(EnvironmentSettings):
    """What every service reads. Names and values: README, Configuration."""

    token_key: KeyBytes = Field(validation_alias="LASTMETRE_TOKEN_KEY")
    link_key: KeyBytes = Field(validation_alias="LASTMETRE_LINK_KEY")
    service_keys: dict[str, str] = Field(
        default_factory=dict, validation_alias="LASTMETRE_SERVICE_KEYS"
    )
    city_time_zone: ZoneInfo = CITY_TIME_ZONE
    city_name_zh: str = Field(default="云桥市", validation_alias="LASTMETRE_CITY_NAME_ZH")
    city_name_en: str = Field(default="Yunqiao", validation_alias="LASTMETRE_CITY_NAME_EN")
    categories_file: Path | None = Field(default=None, validation_alias="LASTMETRE_CATEGORIES_FILE")
    intake_public_url: str = Field(default="", validation_alias="INTAKE_PUBLIC_URL")
    dispatch_public_url: str = Field(default="", validation_alias="DISPATCH_PUBLIC_URL")
    notify_public_url: str = Field(default="", validation_alias="NOTIFY_PUBLIC_URL")
    metrics_public_url: str = Field(default="", validation_alias="METRICS_PUBLIC_URL")
    trusted_proxies: str = Field(default="127.0.0.1", validation_alias="LASTMETRE_TRUSTED_PROXIES")
    clock_file: Path | None = Field(default=None, validation_alias="LASTMETRE_CLOCK_FILE")

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
