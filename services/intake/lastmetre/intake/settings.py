"""What intake reads from its environment, beside what every service reads."""

from datetime import timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from lastmetre.common.gazetteer.file import read_gazetteer
from lastmetre.common.gazetteer.finding import Limits
from lastmetre.common.security.access_tokens import public_key
from lastmetre.common.security.lead_links import DEVICE_LIFETIME
from lastmetre.common.service.kafka_settings import EnvironmentSettings
from lastmetre.common.service.settings import (
    KeyBytes,
    LinkSettings,
    OldKeys,
    OptionalKey,
    SignInMode,
)
from lastmetre.intake.adapters.photo_store import PhotoStore
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.domain.attempts import Limit, PublicLimits, SignInWay
from lastmetre.intake.domain.photos import MOST_PHOTOS
from lastmetre.intake.domain.places_in_words import PlacesInWords
from lastmetre.intake.domain.staff_sessions import (
    DISPLAY_IDLE,
    DISPLAY_LONGEST,
    Lifetimes,
    SignedInBy,
)
from lastmetre.intake.domain.staff_users import PasswordLimits

_THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class VaultSettings(EnvironmentSettings):
    """The vault's keys."""

    vault_key: KeyBytes = Field(validation_alias="INTAKE_VAULT_KEY")
    vault_old_keys: OldKeys = Field(validation_alias="INTAKE_VAULT_OLD_KEYS")
    fingerprint_key: OptionalKey = Field(default=None, validation_alias="INTAKE_FINGERPRINT_KEY")

    @model_validator(mode="after")
    def _fingerprints_outlive_the_vault_key(self) -> Self:
        if self.vault_old_keys and self.fingerprint_key is None:
            raise ValueError(
                "with INTAKE_VAULT_OLD_KEYS goes INTAKE_FINGERPRINT_KEY, the first vault key: else"
                " repetitions of reports would be taken for contradictions"
            )
        return self

    def vault(self) -> Vault:
        """The vault of this installation."""
        return Vault(
            self.vault_key, old_keys=self.vault_old_keys, fingerprint_key=self.fingerprint_key
        )


class DatabaseSettings(EnvironmentSettings):
    """What tools read that need the database alone."""

    database_url: SecretStr = Field(validation_alias="INTAKE_DATABASE_URL")


class ResealSettings(VaultSettings, DatabaseSettings):
    """What `lastmetre.intake.entrypoints.reseal` reads: it serves nobody."""


class SignInSettings(EnvironmentSettings):
    """How staff sign in. Durations are in seconds."""

    access_key: KeyBytes = Field(validation_alias="INTAKE_ACCESS_KEY")
    access_seconds: int = Field(default=600, ge=60, validation_alias="INTAKE_ACCESS_TOKEN_SECONDS")
    session_idle: int = Field(default=1800, ge=60, validation_alias="INTAKE_SESSION_IDLE_SECONDS")
    session_longest: int = Field(default=43_200, ge=60, validation_alias="INTAKE_SESSION_SECONDS")
    passwords: bool | None = Field(default=None, validation_alias="INTAKE_PASSWORDS")
    """None: where there is no identity provider."""
    sign_ins_per_name: int = Field(default=10, gt=0, validation_alias="INTAKE_SIGN_INS_PER_NAME")
    sign_ins_per_client: int = Field(
        default=30, gt=0, validation_alias="INTAKE_SIGN_INS_PER_CLIENT"
    )
    sign_ins_in_all: int = Field(default=300, gt=0, validation_alias="INTAKE_SIGN_INS_IN_ALL")
    sign_in_failures: int = Field(
        default=100, gt=0, validation_alias="INTAKE_SIGN_IN_FAILURES_PER_CLIENT"
    )
    oidc_issuer: str = Field(default="", validation_alias="INTAKE_OIDC_ISSUER")
    oidc_client_id: str = Field(default="", validation_alias="INTAKE_OIDC_CLIENT_ID")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), validation_alias="INTAKE_OIDC_CLIENT_SECRET"
    )
    oidc_audience: str = Field(default="lastmetre", validation_alias="INTAKE_OIDC_AUDIENCE")
    oidc_scopes: str = Field(default="openid profile", validation_alias="INTAKE_OIDC_SCOPES")
    oidc_roles_file: Path | None = Field(default=None, validation_alias="INTAKE_OIDC_ROLES_FILE")

    @model_validator(mode="after")
    def _a_provider_is_whole(self) -> Self:
        named = bool(self.oidc_issuer)
        if named and not (self.oidc_client_id and self.oidc_roles_file):
            raise ValueError(
                "with INTAKE_OIDC_ISSUER go INTAKE_OIDC_CLIENT_ID and INTAKE_OIDC_ROLES_FILE"
            )
        address = urlsplit(self.oidc_issuer)
        if named and address.scheme != "https" and address.hostname not in _THIS_MACHINE:
            raise ValueError("INTAKE_OIDC_ISSUER begins with https://")
        return self

    @property
    def with_passwords(self) -> bool:
        """Whether staff may sign in with passwords of ours."""
        return not self.oidc_issuer if self.passwords is None else self.passwords

    def password_limits(self) -> PasswordLimits:
        """Of tries with passwords, in a quarter of an hour."""
        quarter = timedelta(minutes=15)
        return PasswordLimits(
            in_all=Limit("password", self.sign_ins_in_all, quarter),
            by_client=Limit("password_by_client", self.sign_ins_per_client, quarter),
            by_name=Limit("password_by_name", self.sign_ins_per_name, quarter),
        )

    def sign_in_limits(self) -> dict[SignInWay, Limit]:
        """Of one client's failures by the other ways, in a quarter of an hour."""
        most, quarter = self.sign_in_failures, timedelta(minutes=15)
        return {way: Limit(f"{way}_by_client", most, quarter) for way in SignInWay}

    def lifetimes(self) -> dict[SignedInBy, Lifetimes]:
        """Of sessions, by how somebody has signed in."""
        at_a_desk = Lifetimes(
            timedelta(seconds=self.session_idle), timedelta(seconds=self.session_longest)
        )
        device = Lifetimes(DEVICE_LIFETIME, DEVICE_LIFETIME)
        return {
            SignedInBy.PROVIDER: at_a_desk,
            SignedInBy.PASSWORD: at_a_desk,
            SignedInBy.LINK: device,
            SignedInBy.DISPLAY: Lifetimes(DISPLAY_IDLE, DISPLAY_LONGEST),
        }


class PhotoSettings(EnvironmentSettings):
    """Where photos are kept; those of S3 are as its own tools have them."""

    photos: str = Field(default="", validation_alias="INTAKE_PHOTOS")
    """A folder, or `s3://BUCKET/PREFIX`; empty: no photos are taken."""
    s3_endpoint: str = Field(default="", validation_alias="AWS_ENDPOINT_URL")
    s3_region: str = Field(default="", validation_alias="AWS_REGION")
    s3_key_id: str = Field(default="", validation_alias="AWS_ACCESS_KEY_ID")
    s3_secret: SecretStr = Field(default=SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY")

    def photo_store(self) -> PhotoStore | None:
        """None where no photos are taken. Raises StoreAway, ValueError."""
        if not self.photos:
            return None
        options = {
            "endpoint": self.s3_endpoint,
            "region": self.s3_region,
            "access_key_id": self.s3_key_id,
            "secret_access_key": self.s3_secret.get_secret_value(),
        }
        return PhotoStore.at(self.photos, {name: each for name, each in options.items() if each})


class UsersSettings(VaultSettings, DatabaseSettings):
    """What the tool `users` reads."""

    city_name_en: str = Field(default="Yunqiao", validation_alias="LASTMETRE_CITY_NAME_EN")


class IntakeSettings(SignInSettings, VaultSettings, PhotoSettings, LinkSettings):
    """Settings of the intake service. Durations are in seconds, sizes in bytes."""

    database_url: SecretStr = Field(validation_alias="INTAKE_DATABASE_URL")
    http_host: str = Field(default="127.0.0.1", validation_alias="INTAKE_HTTP_HOST")
    http_port: int = Field(default=8101, validation_alias="INTAKE_HTTP_PORT")
    admin_host: str = Field(default="", validation_alias="INTAKE_ADMIN_HOST")
    admin_port: int = Field(default=8111, validation_alias="INTAKE_ADMIN_PORT")
    service_key: SecretStr = Field(validation_alias="INTAKE_SERVICE_KEY")

    channel_keys_file: Path = Field(validation_alias="INTAKE_CHANNEL_KEYS_FILE")
    category_map_file: Path | None = Field(
        default=None, validation_alias="INTAKE_CATEGORY_MAP_FILE"
    )
    mappings_folder: Path | None = Field(default=None, validation_alias="INTAKE_MAPPINGS_FOLDER")
    partner_topics_file: Path | None = Field(
        default=None, validation_alias="INTAKE_PARTNER_TOPICS_FILE"
    )
    gazetteer_file: Path | None = Field(default=None, validation_alias="INTAKE_GAZETTEER_FILE")
    words_confidence: float = Field(
        default=0.8, ge=0, le=1, validation_alias="INTAKE_WORDS_CONFIDENCE"
    )
    words_metres: float = Field(default=1500.0, gt=0, validation_alias="INTAKE_WORDS_METRES")
    finds_per_number: int = Field(default=5, gt=0, validation_alias="INTAKE_FINDS_PER_NUMBER")
    finds_per_client: int = Field(default=20, gt=0, validation_alias="INTAKE_FINDS_PER_CLIENT")
    finds_in_all: int = Field(default=300, gt=0, validation_alias="INTAKE_FINDS_IN_ALL")
    forms_per_contact: int = Field(default=5, gt=0, validation_alias="INTAKE_FORMS_PER_CONTACT")
    forms_per_client: int = Field(default=30, gt=0, validation_alias="INTAKE_FORMS_PER_CLIENT")
    forms_in_all: int = Field(default=2000, gt=0, validation_alias="INTAKE_FORMS_IN_ALL")
    progress_streams: int = Field(default=500, ge=0, validation_alias="INTAKE_PROGRESS_STREAMS")
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
    backup_interval: float | None = Field(
        default=None, ge=0, validation_alias="INTAKE_BACKUP_INTERVAL_SECONDS"
    )
    trim_after: float = Field(default=3600.0, ge=0, validation_alias="INTAKE_TRIM_AFTER_SECONDS")
    trim_every: float = Field(default=60.0, gt=0, validation_alias="INTAKE_TRIM_EVERY_SECONDS")

    @model_validator(mode="after")
    def _its_tokens_are_known(self) -> Self:
        # Else whoever signs in is led to and fro between his page and the sign-in.
        known = self.sign_in is SignInMode.DEVELOPMENT or public_key(self.access_key) in (
            self.access_keys
        )
        if not known:
            raise ValueError(
                "LASTMETRE_ACCESS_KEYS lacks the public key of INTAKE_ACCESS_KEY: no service would"
                " know the tokens that intake signs"
            )
        return self

    def places_in_words(self) -> PlacesInWords | None:
        """What finds places in words, if there is a gazetteer. Raises OSError, GazetteerError."""
        if self.gazetteer_file is None:
            return None
        limits = Limits(self.words_confidence, self.words_metres)
        return PlacesInWords(read_gazetteer(self.gazetteer_file), limits)

    def public_limits(self) -> PublicLimits:
        """Of the forms that anybody may send: finds in a quarter of an hour, reports in an hour."""
        quarter, hour = timedelta(minutes=15), timedelta(hours=1)
        return PublicLimits(
            find=Limit("find", self.finds_in_all, quarter),
            find_by_client=Limit("find_by_client", self.finds_per_client, quarter),
            find_by_number=Limit("find_by_number", self.finds_per_number, quarter),
            form=Limit("form", self.forms_in_all, hour),
            form_by_client=Limit("form_by_client", self.forms_per_client, hour),
            form_by_contact=Limit("form_by_contact", self.forms_per_contact, hour),
            photo=Limit("photo", MOST_PHOTOS * self.forms_in_all, hour),
            photo_by_client=Limit("photo_by_client", MOST_PHOTOS * self.forms_per_client, hour),
        )
