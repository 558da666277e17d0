"""How often a client may fail at what anybody may ask of the sign-in, passwords aside."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.domain.attempts import Attempt, Limit, SignInWay, TooManyAttempts
from lastmetre.intake.domain.identity_provider import ProviderAway


class SignInAttempts:
    """A try counts before anybody looks, and only a failure stays counted.

    There is no limit of all: nothing here can be guessed, and strangers could close the sign-in to
    staff, or keep the provider from ending sessions.
    """

    def __init__(self, counter: AttemptCounter, by_client: Mapping[SignInWay, Limit]) -> None:
        self._counter = counter
        self._by_client = by_client

    @asynccontextmanager
    async def trying(self, way: SignInWay, client: str) -> AsyncIterator[None]:
        """Around a try of `client`. Raises TooManyAttempts before it; that the provider is away is
        no failure of his."""
        attempts = [Attempt(self._by_client[way], client)]
        passed = await self._counter.reserve_even_without_database(attempts)
        if passed is not None:
            raise TooManyAttempts(passed)
        try:
            yield
        except ProviderAway:
            await self._counter.release_even_without_database(attempts)
            raise
        await self._counter.release_even_without_database(attempts)
