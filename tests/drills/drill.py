"""A stack that Prometheus and Alertmanager watch, with the rules and routes that are deployed.

It prints how long each alert took, from the fault and from its end: docs/operations.md has a table.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import yaml

from tests.observability.rules import RULES
from tests.support.alertmanager import Alertmanager, alertmanager
from tests.support.city import City
from tests.support.prometheus import Prometheus, prometheus

FIRES_SECONDS: Final = 300.0
TARGETS: Final = 5
"""The four services and the city's figures."""


def hurried(
    folder: Path, alert: str, rules_from: Sequence[Path] = RULES, /, **instead: tuple[str, str]
) -> list[Path]:
    """The rules, copied to `folder`, where one alert does not wait for hours.

    `instead` names its fields (`expr`, `for`): what stands there, and what stands there instead.
    `rules_from`: the copies of another alert, which are changed further.
    """
    copies: list[Path] = []
    changed = 0
    for file in rules_from:
        document = yaml.safe_load(file.read_text("utf-8"))
        rules = [rule for group in document["groups"] for rule in group["rules"]]
        for rule in (each for each in rules if each.get("alert") == alert):
            for field, (promised, here) in instead.items():
                assert promised in rule[field]
                rule[field] = rule[field].replace(promised, here)
                changed += 1
        copies.append(folder / file.name)
        copies[-1].write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    assert changed == len(instead)
    return copies


async def _nothing() -> None:
    pass


class Drill:
    """A stack that is watched, and who is called."""

    def __init__(
        self, city: City, asking: Prometheus, called: Alertmanager, targets: int = TARGETS
    ) -> None:
        self._city = city
        self._asking = asking
        self._called = called
        self._targets = targets
        self._began = time.monotonic()

    def begins(self) -> None:
        """Say that the fault, or its end, is now: what is waited for next is counted from here."""
        self._began = time.monotonic()

    async def fires(
        self,
        alert: str,
        severity: str,
        services: set[str],
        meanwhile: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        """Wait until it fires for these services, and the right people are called.

        `meanwhile` is done again and again, as long as that is waited for.
        """

        async def look() -> bool:
            await meanwhile()
            firing = {labels.get("service") for labels in await self._asking.firing(alert)}
            return firing >= services and (severity, "firing", alert) in self._called.calls

        await self._city.until(look, f"{alert} of {services}", FIRES_SECONDS)
        self._print(alert, "fires")

    async def resolves(
        self, alert: str, severity: str, meanwhile: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Wait until it does not fire any more, and that has been told; `meanwhile` as above."""

        async def look() -> bool:
            await meanwhile()
            if await self._asking.firing(alert):
                return False
            return (severity, "resolved", alert) in self._called.calls

        await self._city.until(look, f"end of {alert}", FIRES_SECONDS)
        self._print(alert, "has ended")

    async def is_quiet(self, alert: str) -> None:
        """Wait until everything is watched and it does not fire."""

        async def look() -> bool:
            up = await self._asking.asked("count(up == 1)")
            watched = [value for _, value in up] == [self._targets]
            return watched and not await self._asking.firing(alert)

        await self._city.until(look, f"quiet without {alert}", FIRES_SECONDS)
        self.begins()

    def _print(self, alert: str, what: str) -> None:
        print(f"{alert} {what} after {time.monotonic() - self._began:.0f} s")


@asynccontextmanager
async def watched(
    city: City, folder: Path, rules: Sequence[Path] = RULES, others: Sequence[str] = ()
) -> AsyncIterator[Drill]:
    """The services of `city`, and `others`, watched as long as the block runs."""
    async with (
        alertmanager(folder) as called,
        prometheus(city, folder, rules, others, [called.address]) as asking,
    ):
        yield Drill(city, asking, called, TARGETS + len(others))
