"""`endpoints.json`: what a development stack tells people's scripts, outside tools and commands."""

import os
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lastmetre.cli.console import UsedWrongly
from lastmetre.common.contracts.base import Channel

FILE: Final = "endpoints.json"
SENDERS: Final = {
    Channel.HOTLINE: "hotline-12345",
    Channel.APP: "city-app",
    Channel.PATROL: "patrol",
}
"""Who reports through each channel of a development stack: part of each report's identity."""


def default_home() -> Path:
    """LASTMETRE_HOME, or .lastmetre in the current folder."""
    return Path(os.environ.get("LASTMETRE_HOME") or ".lastmetre").absolute()


class Endpoints(BaseModel):
    """Addresses and development keys of one running stack."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    bootstrap_servers: str = Field(alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_security: dict[str, str] = {}
    """How these brokers are entered, by the names of the environment; nothing: without security."""
    topic_prefix: str = ""
    services: dict[str, str] = {}
    """Base URL of each service: that of its first process."""
    instances: dict[str, list[str]] = {}
    """Base URL of every process of each service."""
    admin: dict[str, list[str]] = {}
    """Base URL of the admin port of every process: health, figures, internal routes."""
    databases: dict[str, str]
    audit_databases: dict[str, str]
    """The same databases for a role that may only read."""
    channel_keys: dict[Channel, str]
    service_keys: dict[str, str]
    token_key: str
    access_key: str
    link_key: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """Those in that file. Raises FileNotFoundError, or UsedWrongly for what is no such file."""
        try:
            return cls.model_validate_json(file.read_text("utf-8"))
        except ValidationError as error:
            raise UsedWrongly(
                f"{file} is not what a stack writes as its {FILE} ({error.error_count()} errors).",
                "start the stack again by `make up`: it writes the file anew.",
            ) from None

    def settings(self) -> dict[str, str]:
        """The same under the names that the environment and profiles use."""
        found = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            **self.kafka_security,
            "LASTMETRE_TOPIC_PREFIX": self.topic_prefix,
            "LASTMETRE_DEVELOPMENT": "1",
            "LASTMETRE_TOKEN_KEY": self.token_key,
            "INTAKE_ACCESS_KEY": self.access_key,
            "LASTMETRE_LINK_KEY": self.link_key,
        }
        for service, url in self.services.items():
            found[f"{service.upper()}_PUBLIC_URL"] = url
            found[f"{service.upper()}_URL"] = ",".join(self.instances.get(service) or [url])
        for service, urls in self.admin.items():
            found[f"{service.upper()}_ADMIN_URL"] = ",".join(urls)
        for service, url in self.databases.items():
            found[f"{service.upper()}_DATABASE_URL"] = url
        for service, url in self.audit_databases.items():
            found[f"{service.upper()}_AUDIT_DATABASE_URL"] = url
        for channel, key in self.channel_keys.items():
            found[f"{channel.upper()}_CHANNEL_KEY"] = key
            found[f"{channel.upper()}_CHANNEL_SENDER"] = SENDERS[channel]
        return found
