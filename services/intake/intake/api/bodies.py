"""JSON bodies of the API: bounded, and refused with the names of the fields that are wrong."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from common.web.problems import Problem, field_errors
from common.web.words import N_

MAXIMUM_BYTES = 2 * 1024 * 1024

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The request's body as `kind`. Raises Problem 413 or 422."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAXIMUM_BYTES:
                raise Problem(413, "/problems/too-large", N_("That is too much at once"))
    except ClientDisconnect as error:
        raise Problem(400, "about:blank", N_("This request cannot be understood")) from error
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": field_errors(error.errors(include_url=False, include_input=False))},
        ) from error
