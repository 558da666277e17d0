"""Reads the file that says for whom the city's field systems may speak."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from lastmetre.common.contracts.base import ActorRole, Code
from lastmetre.dispatch.domain.field_systems import STAFF, FieldSystem, FieldSystems


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: Code
    roles: frozenset[ActorRole]
    leads: frozenset[Code] | None = None


def read_field_systems(path: Path | None) -> FieldSystems:
    """A JSON list of `source`, `roles` and perhaps `leads`; without a file none is named.

    Raises OSError if it cannot be read, ValueError if it is not such a list.
    """
    if path is None:
        return FieldSystems()
    named: dict[str, FieldSystem] = {}
    for entry in TypeAdapter(list[_Entry]).validate_json(path.read_text("utf-8-sig")):
        if entry.source in named:
            raise ValueError(f"{path}: {entry.source} is there twice")
        if strange := sorted(entry.roles - STAFF):
            raise ValueError(f"{path}: {entry.source} cannot speak for {', '.join(strange)}")
        named[entry.source] = FieldSystem(entry.roles, entry.leads)
    return FieldSystems(named)
