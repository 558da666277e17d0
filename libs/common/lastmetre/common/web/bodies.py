"""Request bodies read up to a limit, and checked against a model."""

from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from lastmetre.common.contracts.base import BYTE_ORDER_MARK
from lastmetre.common.web.problems import Problem, field_errors
from lastmetre.common.web.words import N_

BODY_BYTES: Final = 2 * 1024 * 1024
"""Enough for the largest list that a service asks another for."""

Body = TypeVar("Body", bound=BaseModel)


async def read_model(request: Request, model: type[Body], limit: int = BODY_BYTES) -> Body:
    """The JSON body as `model`. Raises Problem 413 as soon as it has more than `limit` bytes,
    and 422 with what is wrong by field."""
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
    try:
        return model.model_validate_json(body.removeprefix(BYTE_ORDER_MARK))
    except ValidationError as error:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": field_errors(error.errors(include_url=False, include_input=False))},
        ) from error
