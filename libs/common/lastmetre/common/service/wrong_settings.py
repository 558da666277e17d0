"""What a service says when it cannot start for what it was given: no traceback, but the way out."""

from typing import Final

from pydantic import ValidationError

from lastmetre.common.mapping.problems import MappingError
from lastmetre.common.tables.problems import TableError

SETTINGS: Final = "Settings"
"""The end of the name of every class of settings."""


def in_words(error: Exception) -> str | None:
    """A line for each setting, or file named by one, that is wrong; None for any other error.

    Values are not repeated: they may be secrets.
    """
    if isinstance(error, ValidationError) and error.title.endswith(SETTINGS):
        wrong = [f"  {_line(each['loc'], each['type'], each['msg'])}" for each in error.errors()]
        return "\n".join([f"{len(wrong)} settings are missing or wrong:", *wrong])
    if isinstance(error, TableError | MappingError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def _line(names: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(map(str, names)) or "Kafka"
    if kind == "missing":
        return f"{name} is not set, nor is {name}_FILE"
    return f"{name}: {message.removeprefix('Value error, ')}"
