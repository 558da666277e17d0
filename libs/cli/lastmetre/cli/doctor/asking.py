"""A question by HTTP, and when it was answered."""

import time
from dataclasses import dataclass
from typing import Final

import httpx

ANSWER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `midway` is the middle of the wait, this machine's clock, since 1970."""

    status: int
    body: str
    midway: float


class NoAnswer(Exception):
    """Nobody answered; says why."""


async def ask(url: str) -> Answer:
    """GET there, without a proxy and without following. Raises NoAnswer."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as client:
            asked_at = time.time()
            answer = await client.get(url)
            came_at = time.time()
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    return Answer(answer.status_code, answer.text, (asked_at + came_at) / 2)
