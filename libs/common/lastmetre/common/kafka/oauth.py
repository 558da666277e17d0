"""Tokens for SASL OAUTHBEARER, by client credentials from a token endpoint."""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from lastmetre.common.kafka.access import Sasl, TlsFiles

ANSWER_SECONDS: Final = 5.0
REFRESHED_AT: Final = 0.8
"""Of a token's life. A connection that is made later gets another one."""
LIFE_SECONDS: Final = 60.0
"""Where the endpoint does not say."""


class TokenEndpoint(AbstractTokenProvider):
    """Gives a token for each connection; asks the endpoint anew before the last one expires."""

    def __init__(
        self,
        sasl: Sasl,
        tls: TlsFiles,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sasl = sasl
        self._tls = tls
        self._transport = transport
        self._now = now
        self._token = ""
        self._refresh_at = 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Raises KafkaConnectionError, which clients wait for as for a broker that is away."""
        async with self._asking:
            if not self._token or self._now() >= self._refresh_at:
                began = self._now()
                self._token, life = await self._ask()
                self._refresh_at = began + life * REFRESHED_AT
            return self._token

    async def _ask(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if self._sasl.oauth_scope:
            form["scope"] = self._sasl.oauth_scope
        try:
            async with httpx.AsyncClient(
                transport=self._transport,
                trust_env=False,
                timeout=ANSWER_SECONDS,
                verify=self._authorities(),
            ) as client:
                answer = await client.post(
                    self._sasl.token_url,
                    data=form,
                    auth=(self._sasl.oauth_client_id, self._sasl.oauth_client_secret),
                )
            answer.raise_for_status()
            document: Any = answer.json()
            return str(document["access_token"]), float(document.get("expires_in", LIFE_SECONDS))
        except httpx.HTTPStatusError as error:
            raise _no_token(f"status {error.response.status_code}") from None
        except (httpx.HTTPError, OSError) as error:
            raise _no_token(type(error).__name__) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            # Not the error itself: it may hold what the endpoint said.
            raise _no_token("its answer holds no token") from None

    def _authorities(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._tls.authority:
            context.load_verify_locations(self._tls.authority)
        return context


def _no_token(why: str) -> KafkaConnectionError:
    return KafkaConnectionError(f"no token from KAFKA_OAUTH_TOKEN_URL: {why}")
