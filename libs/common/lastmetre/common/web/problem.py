"""A refusal or failure that the caller is told about. How it is answered: `problems`."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from lastmetre.common.web.words import N_


class FieldProblem(TypedDict):
    """What is wrong at a place in the body (a JSON pointer, RFC 6901)."""

    pointer: str
    message: str


class Problem(Exception):
    """A refusal or failure that the caller is told about.

    `type` is the path of a URI that names the kind of problem. `title` and `detail` are English
    messages marked with `N_`: as they are in JSON, translated on a page. `detail` may hold
    `%(name)s` for members of `extra`, and therefore writes a percent sign as `%%`. `extra` goes
    into the JSON as further members: nothing personal.
    """

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str = "",
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The members of the problem details document, `detail` filled in."""
        members = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            members["detail"] = self.detail % self.extra
        return members | self.extra


def busy() -> Problem:
    """Something that this needs is away or has too much to do; the same can be asked again."""
    return Problem(
        503,
        "/problems/busy",
        N_("Not available for a moment"),
        headers={"Retry-After": "5"},
    )
