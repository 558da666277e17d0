"""OpenAPI 3.1: what FastAPI makes of the routes, with problems and with routes of other kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, Protocol

from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.responses import HTMLResponse, RedirectResponse

from lastmetre.common.security.access import DeclaredAccess, GuardedRoute, schemes
from lastmetre.common.web.languages import LANGUAGE_PARAMETER
from lastmetre.common.web.problems import ProblemDocument

REFERENCE: Final = "#/components/schemas/{model}"
_PROBLEM_SCHEMA: Final = {"$ref": REFERENCE.format(model="Problem")}
PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem",
    "content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}},
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"4XX": PROBLEM, "5XX": PROBLEM}
"""What every route may answer."""
_PAGE_PROBLEM: Final = PROBLEM | {"content": {**PROBLEM["content"], "text/html": {}}}
PAGE_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": _PAGE_PROBLEM,
    "5XX": _PAGE_PROBLEM,
}
"""What a page's routes may: a page for people, perhaps the form again with what to put right."""
REDIRECTS: Final[dict[str, Any]] = {"status_code": 303, "response_class": RedirectResponse}
"""Of a page's route that leads to another page."""


async def _declare_language(
    language: Annotated[
        str | None,
        Query(
            alias=LANGUAGE_PARAMETER,
            description="The page's language, `zh` or `en`, which a cookie remembers. Else the"
            " cookie's, else what Accept-Language asks for.",
        ),
    ] = None,
) -> None:
    """The kit reads it (`Pages.language_of`): so that pages of refusals, which come before any
    parameter is read, and of addresses without a route are in the reader's language, too."""


def page_router(prefix: str = "") -> APIRouter:
    """A router for pages, in either language."""
    return APIRouter(
        prefix=prefix,
        route_class=GuardedRoute,
        default_response_class=HTMLResponse,
        tags=["pages"],
        responses=PAGE_PROBLEMS,
        dependencies=[Depends(_declare_language)],
    )


class Described(NamedTuple):
    """An operation, and the schemas and security schemes that it names."""

    path: str
    method: str
    operation: dict[str, Any]
    schemas: dict[str, Any]
    security_schemes: dict[str, Any]


class Describes(Protocol):
    """A route that FastAPI does not serve."""

    def describe(self) -> Described:
        """Its operation."""


class JsonResponse(NamedTuple):
    """An answer in JSON."""

    description: str
    model: TypeAdapter[Any]


@dataclass(frozen=True, slots=True)
class JsonRoute:
    """A route that takes and answers JSON, described as FastAPI would describe it."""

    access: DeclaredAccess
    summary: str
    description: str
    tag: str
    parameters: Mapping[str, TypeAdapter[Any]]
    body: TypeAdapter[Any]
    responses: Mapping[int, JsonResponse]

    def described(self) -> Described:
        """The operation."""
        inputs = {**self.parameters, "": self.body}
        found, definitions = TypeAdapter.json_schemas(
            [
                *((name, "validation", each) for name, each in inputs.items()),
                *((status, "serialization", each.model) for status, each in self.responses.items()),
            ],
            ref_template=REFERENCE,
        )
        answering = list(schemes(self.access.rules))
        operation = {
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "operationId": self.summary.lower().replace(" ", "_"),
            "parameters": [
                {
                    "name": name,
                    "in": "path",
                    "required": True,
                    "schema": found[name, "validation"],
                }
                for name in self.parameters
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": found["", "validation"]}},
            },
            "responses": PROBLEMS
            | {
                str(status): {
                    "description": each.description,
                    "content": {"application/json": {"schema": found[status, "serialization"]}},
                }
                for status, each in self.responses.items()
            },
            "security": [{scheme.scheme_name: scopes} for scheme, scopes in answering],
        }
        (method,) = self.access.methods
        return Described(
            self.access.path,
            method.lower(),
            operation,
            definitions.get("$defs", {}),
            {
                scheme.scheme_name: scheme.model.model_dump(
                    mode="json", by_alias=True, exclude_none=True
                )
                for scheme, _ in answering
            },
        )


def describe(app: FastAPI, others: Sequence[Describes] = ()) -> None:
    """Let `app.openapi()` describe these routes too, and problems as they are answered."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                openapi_version=app.openapi_version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            app.openapi_schema = _completed(made, [each.describe() for each in others])
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _completed(document: dict[str, Any], others: Sequence[Described]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    security = components.setdefault("securitySchemes", {})
    problem = ProblemDocument.model_json_schema(ref_template=REFERENCE)
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for each in others:
        document["paths"].setdefault(each.path, {})[each.method] = each.operation
        schemas.update(each.schemas)
        security.update(each.security_schemes)
    document["paths"] = dict(sorted(document["paths"].items()))
    components["schemas"] = dict(sorted(schemas.items()))
    return document
