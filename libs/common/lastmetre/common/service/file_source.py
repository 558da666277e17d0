"""Settings whose value stands in a file."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource


class FileSource(PydanticBaseSettingsSource):
    """Reads NAME from the file that NAME_FILE names, as container platforms hand out secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's content without the newline at its end; an empty one is none, as with
        variables: an old key's file may wait for its key."""
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field_name
        path = os.environ.get(f"{alias}_FILE")
        value = Path(path).read_text("utf-8").rstrip("\n") or None if path else None
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
