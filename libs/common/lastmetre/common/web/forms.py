"""Forms that keep what was typed and say what to put right.

A form posts `application/x-www-form-urlencoded`. The page is rendered again with the same `Form`
and status 422 until nothing is wrong; the kit's macros show the values and errors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from lastmetre.common.text import cleaned
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

_MAXIMUM_BYTES = 64 * 1024
_MAXIMUM_FIELDS = 100


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


async def read_form(request: Request) -> Form:
    """The form a request holds; of a field sent twice, the first. Raises Problem 413 or 415."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Problem(415, "/problems/not-a-form", N_("This kind of content is not taken here"))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAXIMUM_BYTES:
            raise _too_much()
    return parse_form(bytes(body))


def parse_form(body: bytes) -> Form:
    """The form in a urlencoded body. Raises Problem 413 for more fields than a page has."""
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAXIMUM_FIELDS)
    except ValueError:
        raise _too_much() from None
    form = Form()
    for name, value in pairs:
        form.values.setdefault(name, cleaned(value).strip())
    return form


def grouped(choices: Iterable[tuple[str, str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Choices, given as (group, words, value), in order, as `fields.select` takes them."""
    ordered = groupby(sorted(choices), key=itemgetter(0))
    return [(group, [(value, words) for _, words, value in each]) for group, each in ordered]


def _too_much() -> Problem:
    return Problem(413, "/problems/too-large", N_("That is too much at once"))
