"""Forms that keep what was typed and say what to put right.

A route declares the form's fields as a `FormFields` model by FastAPI's `Form()`. The page is
rendered again with the same `Form` and status 422 until nothing is wrong; the kit's macros show the
values and errors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

from lastmetre.common.text import cleaned
from lastmetre.common.web.openapi import REDIRECTS

FORM_BYTES: Final = 64 * 1024
"""The largest body of a page's form."""


REDISPLAYED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The form again in another language", "content": {"text/html": {}}}
}
TAKES_FORM: Final[dict[str, Any]] = REDIRECTS | {
    "max_body_size": FORM_BYTES,
    "responses": REDISPLAYED,
}
"""Of a page's route that takes a form, and leads to another page or shows the form again."""
LEADS_ON: Final[dict[int | str, dict[str, Any]]] = {303: {"description": "Another page"}}


def _typed(value: object) -> object:
    return cleaned(value).strip() if isinstance(value, str) else value


Typed = Annotated[str, BeforeValidator(_typed)]
"""What somebody typed, without control characters and white space around it."""


class FormFields(BaseModel):
    """A form's fields, each `Typed` and empty by default: what is wrong is said on the page."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    redisplay: Typed = ""
    """Not empty: nothing is done, the form is shown again in another language."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with a field: a message marked with `N_` and the values it names."""

    message: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class Form:
    """The fields of a form as typed, and what is wrong with them, in the order it was found."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, FieldError] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: FormFields) -> Self:
        """The form as it was typed, without files."""
        return cls({name: each for name, each in fields if isinstance(each, str)})

    def value(self, name: str) -> str:
        """What was typed, trimmed; empty if there was nothing."""
        return self.values.get(name, "")

    def fail(self, name: str, message: str, **values: Any) -> None:
        """Note what is wrong with a field. The first thing noted is the one shown."""
        self.errors.setdefault(name, FieldError(message, values))

    def require(self, name: str, message: str) -> str:
        """The field's value; if empty, noted as wrong with `message`."""
        value = self.value(name)
        if not value:
            self.fail(name, message)
        return value


def grouped(choices: Iterable[tuple[str, str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Choices, given as (group, words, value), in order, as `fields.select` takes them."""
    ordered = groupby(sorted(choices), key=itemgetter(0))
    return [(group, [(value, words) for _, words, value in each]) for group, each in ordered]
