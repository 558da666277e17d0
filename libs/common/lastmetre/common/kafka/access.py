"""How the cluster is reached: addresses, security, and the times that clients keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, get_args

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

PROTOCOLS: Final = get_args(SecurityProtocol)
MECHANISMS: Final = get_args(SaslMechanism)


class WrongAccess(ValueError):
    """The settings do not belong together; says which and why, and no secret."""


def addresses(servers: str) -> tuple[str, ...]:
    """Bootstrap addresses from a list with commas."""
    found = tuple(each.strip() for each in servers.split(",") if each.strip())
    if not found:
        raise WrongAccess("KAFKA_BOOTSTRAP_SERVERS names no broker: host:port, host:port")
    return found


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Without `authority` the system's authorities are trusted."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Sasl:
    """How a client says who it is. OAUTHBEARER uses the four below, the rest the two above."""

    mechanism: SaslMechanism
    username: str = ""
    password: str = ""
    token_url: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = ""
    oauth_scope: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class KafkaAccess:
    """What every client is made from. Times in seconds, measured ones (docs/configuration.md)."""

    bootstrap_servers: tuple[str, ...]
    security_protocol: SecurityProtocol = "PLAINTEXT"
    tls: TlsFiles = TlsFiles()
    sasl: Sasl | None = None
    metadata_max_age: float = 20.0
    request_timeout: float = 4.0
    session_timeout: float = 6.0
    heartbeat_interval: float = 1.5
    rebalance_timeout: float = 60.0

    def __post_init__(self) -> None:
        """Raises WrongAccess for what cannot work."""
        if not self.bootstrap_servers:
            raise WrongAccess("KAFKA_BOOTSTRAP_SERVERS names no broker: host:port, host:port")
        if self.uses_sasl and self.sasl is None:
            raise WrongAccess(f"{self.security_protocol} needs KAFKA_SASL_MECHANISM")
        if self.sasl and not self.uses_sasl:
            raise WrongAccess(
                "KAFKA_SASL_MECHANISM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL or SASL_PLAINTEXT"
            )
        if self.sasl:
            _check(self.sasl)
        if self.tls != TlsFiles() and not self.uses_tls:
            raise WrongAccess("KAFKA_SSL_... needs KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
        if (self.tls.certificate is None) != (self.tls.key is None):
            raise WrongAccess("KAFKA_SSL_CERTIFICATE_FILE and KAFKA_SSL_KEY_FILE belong together")
        if self.heartbeat_interval * 2 > self.session_timeout:
            raise WrongAccess(
                "KAFKA_HEARTBEAT_INTERVAL_SECONDS is over half of KAFKA_SESSION_TIMEOUT_SECONDS"
            )

    @classmethod
    def plaintext(cls, servers: str) -> Self:
        """Without security, as a development stack's broker is reached."""
        return cls(addresses(servers))

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether a connection begins with saying who is there."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def __str__(self) -> str:
        return ",".join(self.bootstrap_servers)


def _check(sasl: Sasl) -> None:
    needed: Mapping[str, str]
    if sasl.mechanism == "OAUTHBEARER":
        needed = {
            "KAFKA_OAUTH_TOKEN_URL": sasl.token_url,
            "KAFKA_OAUTH_CLIENT_ID": sasl.oauth_client_id,
            "KAFKA_OAUTH_CLIENT_SECRET": sasl.oauth_client_secret,
        }
    else:
        needed = {"KAFKA_SASL_USERNAME": sasl.username, "KAFKA_SASL_PASSWORD": sasl.password}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise WrongAccess(f"{sasl.mechanism} needs {' and '.join(missing)}")


def access_of(access: KafkaAccess | str) -> KafkaAccess:
    """A string stands for brokers that are reached without security."""
    return KafkaAccess.plaintext(access) if isinstance(access, str) else access
