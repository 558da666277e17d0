"""Settings from the environment. `NAME_FILE` may name a file that holds NAME's value."""

import base64
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import NoDecode

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.clock import Clock, RealClock, TimeLapseClock
from lastmetre.common.service.kafka_settings import EnvironmentSettings


def _key_bytes(value: object) -> object:
    """32 random bytes as base64url, with or without padding."""
    if isinstance(value, str):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return value


_Key = Annotated[bytes, BeforeValidator(_key_bytes), Field(min_length=32)]
KeyBytes = Annotated[_Key, Field(repr=False)]
OptionalKey = Annotated[_Key | None, Field(repr=False)]


def _key_list(value: object) -> object:
    """Keys with white space or commas between them."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


OldKeys = Annotated[
    tuple[_Key, ...], NoDecode, BeforeValidator(_key_list), Field(default=(), repr=False)
]
"""Keys that a newer one has replaced, and that are known for a while yet."""
PublicKeys = Annotated[tuple[_Key, ...], NoDecode, BeforeValidator(_key_list), Field(default=())]


def _digests(value: object) -> object:
    """Of each service one SHA-256, or a list of them while its key is being replaced."""
    if not isinstance(value, dict):
        return value
    return {name: [each] if isinstance(each, str) else each for name, each in value.items()}


ServiceKeys = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_digests)]


CITY_TIME_ZONE: Final = Field(
    default=ZoneInfo("Asia/Shanghai"), validation_alias="LASTMETRE_CITY_TIME_ZONE"
)


class SignInMode(StrEnum):
    """Whose tokens are good: in production those alone that intake has signed."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Settings(EnvironmentSettings):
    """What every service reads. Names and values: docs/configuration.md."""

    sign_in: SignInMode = Field(default=SignInMode.PRODUCTION, validation_alias="LASTMETRE_SIGN_IN")
    token_key: OptionalKey = Field(default=None, validation_alias="LASTMETRE_TOKEN_KEY")
    token_old_keys: OldKeys = Field(validation_alias="LASTMETRE_TOKEN_OLD_KEYS")
    access_keys: PublicKeys = Field(validation_alias="LASTMETRE_ACCESS_KEYS")
    service_keys: ServiceKeys = Field(
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
    sign_in_url: str = Field(default="", validation_alias="LASTMETRE_SIGN_IN_URL")
    """Where /sign-in is published; empty: on the host of dispatch's pages."""
    trusted_proxies: str = Field(default="127.0.0.1", validation_alias="LASTMETRE_TRUSTED_PROXIES")
    clock_file: Path | None = Field(default=None, validation_alias="LASTMETRE_CLOCK_FILE")
    otlp_endpoint: HttpUrl | None = Field(
        default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    otlp_protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL"
    )

    @model_validator(mode="after")
    def _somebody_can_sign_in(self) -> Self:
        if self.sign_in is SignInMode.DEVELOPMENT and self.token_key is None:
            raise ValueError("with LASTMETRE_SIGN_IN=development goes LASTMETRE_TOKEN_KEY")
        if self.sign_in is SignInMode.PRODUCTION and not self.access_keys:
            raise ValueError(
                "LASTMETRE_ACCESS_KEYS is not set: nobody could sign in. `lastmetre secrets make`"
                " makes it; development tokens are good with LASTMETRE_SIGN_IN=development alone"
            )
        return self

    @property
    def development_keys(self) -> tuple[bytes, ...]:
        """Whose development tokens are good: in production nobody's."""
        if self.sign_in is SignInMode.PRODUCTION or self.token_key is None:
            return ()
        return (self.token_key, *self.token_old_keys)

    @property
    def city_name(self) -> LocalName:
        """The city in both languages."""
        return LocalName(zh=self.city_name_zh, en=self.city_name_en)

    @property
    def public_urls(self) -> dict[str, str]:
        """What links to each service's pages begin with."""
        return {
            "intake": self.intake_public_url,
            "dispatch": self.dispatch_public_url,
            "notify": self.notify_public_url,
            "metrics": self.metrics_public_url,
        }

    @property
    def staff_urls(self) -> dict[str, str]:
        """The same of pages for staff. Where notify has intake's host, that of residents, its are
        on that of dispatch's pages: `contracts.publishing`."""
        shared = self.notify_public_url.rstrip("/") == self.intake_public_url.rstrip("/")
        notify = self.dispatch_public_url if shared else self.notify_public_url
        return self.public_urls | {"notify": notify}

    @property
    def sign_in_base(self) -> str:
        """What the address of /sign-in begins with."""
        return (self.sign_in_url or self.dispatch_public_url).rstrip("/")

    def clock(self) -> Clock:
        """The city's clock: real time, unless a file may hold a time-lapse."""
        real = RealClock()
        return TimeLapseClock(self.clock_file, real) if self.clock_file else real


class ServiceSettings(Settings):
    """What a service adds under its own name; each service's settings.py sets the aliases."""

    database_url: SecretStr
    http_host: str = "127.0.0.1"
    http_port: int
    admin_host: str = ""
    """Empty: the same as `http_host`."""
    admin_port: int
    service_key: SecretStr


class LinkSettings(ServiceSettings):
    """What the services read that make or open secret links: intake and notify, and no others."""

    link_key: KeyBytes = Field(validation_alias="LASTMETRE_LINK_KEY")
    link_old_keys: OldKeys = Field(validation_alias="LASTMETRE_LINK_OLD_KEYS")
    identity_key: OptionalKey = Field(default=None, validation_alias="LASTMETRE_IDENTITY_KEY")

    @model_validator(mode="after")
    def _identities_outlive_the_link_key(self) -> Self:
        if self.link_old_keys and self.identity_key is None:
            raise ValueError(
                "with LASTMETRE_LINK_OLD_KEYS goes LASTMETRE_IDENTITY_KEY, the first link key: else"
                " repetitions of reports would be taken for new ones"
            )
        return self

    def links(self) -> SignedLinks:
        """The secret links of this installation."""
        return SignedLinks(
            self.link_key, old_keys=self.link_old_keys, identity_key=self.identity_key
        )
