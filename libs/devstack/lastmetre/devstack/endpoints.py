"""What `endpoints.json` tells people's scripts and outside tools."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from lastmetre.common.contracts.base import Channel
from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import Home, write_private


class Endpoints(BaseModel):
    """Addresses and development keys of one running stack."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    bootstrap_servers: str = Field(alias="KAFKA_BOOTSTRAP_SERVERS")
    topic_prefix: str = ""
    services: dict[str, str] = {}
    """Base URL of each service: that of its first process."""
    instances: dict[str, list[str]] = {}
    """Base URL of every process of each service."""
    databases: dict[str, str]
    audit_databases: dict[str, str]
    """The same databases for a role that may only read."""
    channel_keys: dict[Channel, str]
    service_keys: dict[str, str]
    token_key: str
    link_key: str

    @classmethod
    def read(cls, home: Path) -> Self:
        """Those of the stack in `home`. Raises StackError if none was started there."""
        file = Home(home).endpoints
        try:
            return cls.model_validate_json(file.read_text("utf-8"))
        except FileNotFoundError:
            raise StackError(
                f"No stack has been started in {home} ({file.name} is not there).",
                "run `make up` or `make demo`, or name the stack's folder by LASTMETRE_HOME.",
            ) from None

    def write(self, home: Home) -> None:
        """Write them for others, readable by the owner only, for there are keys among them."""
        write_private(home.endpoints, self.model_dump_json(by_alias=True, indent=2) + "\n")
