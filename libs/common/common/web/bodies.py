"""Request bodies read up to a limit, and checked against a model."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from common.web.problems import Problem, field_errors
from common.web.words import N_

Body = TypeVar("Body", bound=BaseModel)


async def read_limited(request: Request, limit: int) -> bytes:
    """The body, if it has at most `limit` bytes; raises Problem 413 as soon as it has more."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Problem(
                413,
                "/problems/too-large",
                N_("That is too much at once"),
                extra={"limit_bytes": limit},
            )
    return bytes(body)


async def read_model(request: Request, model: type[Body], limit: int) -> Body:
    """The JSON body as `model`; raises Problem 413, or 422 with what is wrong by field."""
    body = await read_limited(request, limit)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": field_errors(error.errors(include_url=False))},
        ) from error
