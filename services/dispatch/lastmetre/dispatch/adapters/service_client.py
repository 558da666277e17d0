"""Another service's internal routes, asked with this service's key."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from lastmetre.common.telemetry.traces import TRACES

log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 3.0
Answer = TypeVar("Answer", bound=BaseModel)


class ServiceClient:
    """Of one service. What it answers is shown at that moment, and kept nowhere."""

    def __init__(self, base_url: str, service_key: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # no proxy or .netrc of the process sees our key
            headers={"Authorization": f"Bearer {service_key}"},
            transport=TRACES.transport(),
        )

    async def ask(
        self,
        path: str,
        answer: type[Answer],
        question: BaseModel | None = None,
        timer: AbstractContextManager[None] | None = None,
    ) -> Answer | None:
        """What is answered; None, which is logged, where that cannot be had. `timer` takes how
        long it took."""
        try:
            with timer or nullcontext():
                response = await self._send(path, question)
                response.raise_for_status()
                return answer.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            # Not the path: it may name a case.
            log.warning("an answer cannot be had", of=answer.__name__, error=type(error).__name__)
            return None

    async def tell(
        self, path: str, message: BaseModel, timer: AbstractContextManager[None] | None = None
    ) -> int | None:
        """Hand something over; returns the status, None while the service is away."""
        try:
            with timer or nullcontext():
                return (await self._send(path, message)).status_code
        except httpx.HTTPError as error:
            log.warning(
                "nothing can be handed over", of=type(message).__name__, error=type(error).__name__
            )
            return None

    async def _send(self, path: str, message: BaseModel | None) -> httpx.Response:
        if message is None:
            return await self._client.get(path)
        return await self._client.post(
            path,
            content=message.model_dump_json(),
            headers={"Content-Type": "application/json"},
        )
