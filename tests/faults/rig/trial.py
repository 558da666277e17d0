"""One trial: load, a fault, waiting until all works again, the verdict, one line of figures."""

import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.rig.load import POSTS_A_SECOND, Load
from tests.faults.rig.processes import Exit
from tests.faults.rig.rig import Rig
from tests.faults.rig.verdict import Count, Known, audit, count, known, parked_or_dead, works_again
from tests.support.city import City

WARM_REPORTS: Final = 250
RESETS: Final = "lastmetre_position_resets_total"
FIGURES: Final = Path(os.environ.get("LASTMETRE_FAULT_FIGURES") or ".lastmetre/faults.jsonl")


@dataclass
class Figures:
    """What a trial showed."""

    fault: str
    reports: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    sent_twice: int = 0
    seconds: float = 0.0
    """From the fault's end until all worked again."""
    gap: float = 0.0
    """Longest time without an accepted report."""
    refused: dict[int, int] = field(default_factory=dict)
    """POSTs that were not answered by 202, by status; 0: no answer."""
    exits: dict[str, int] = field(default_factory=dict)
    resets: int = 0
    live_red: dict[str, int] = field(default_factory=dict)
    ready_red: dict[str, int] = field(default_factory=dict)
    well_red: dict[str, int] = field(default_factory=dict)
    parked_or_dead: dict[str, int] = field(default_factory=dict)
    balanced: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        exits = ", ".join(f"{name} {times}" for name, times in self.exits.items()) or "none"
        return (
            f"{self.fault}: {self.reports} reports, {self.lost} lost, {self.doubled} doubled, "
            f"{self.changed} changed, {self.sent_twice} sent twice, {self.seconds:.1f} s until all "
            f"worked again, gap {self.gap:.1f} s, not taken at once {self.refused or 'none'}, "
            f"exits {exits}, "
            f"resets {self.resets}, red: livez {sum(self.live_red.values())}, "
            f"readyz {sum(self.ready_red.values())}, readyz?all {sum(self.well_red.values())}, "
            f"{'balanced' if self.balanced else 'NOT BALANCED'}"
            + (f", {self.notes}" if self.notes else "")
        )


class Trial:
    """What a trial's few lines use. The fault itself stands in `async with trial.fault():`."""

    def __init__(self, rig: Rig, city: City, load: Load, fault: str) -> None:
        self.rig = rig
        self.city = city
        self.load = load
        self.figures = Figures(fault)
        self.before: dict[str, Known] = {}
        self.may_exit: set[str] = set()
        """Processes whose unasked end is as it should be."""
        self.may_lose = False
        self.live_may_be_red = False
        self.may_reset = False
        self.dead_letters_expected = 0
        self._began = time.monotonic()
        self._resets = rig.services.counter(RESETS)
        self._put_aside: Counter[str] = Counter()

    async def note_put_aside(self) -> None:
        """What was parked or dead before this trial does not count."""
        self._put_aside = Counter(await parked_or_dead(self.rig))

    async def note_known(self) -> None:
        """From now on the ids and numbers of the cases so far must not change."""
        self.before |= await known(self.rig, self.load)

    @asynccontextmanager
    async def fault(self) -> AsyncIterator[None]:
        """From here to the end of the block is the fault; then all has to work again."""
        await self.load.until(WARM_REPORTS)
        await self.note_known()
        yield
        over = time.monotonic()
        self.figures.seconds = await works_again(self.rig, self.city, over)
        print(f"all works again after {self.figures.seconds:.1f} s")

    async def reckon(self, receipts: Path) -> None:
        """Count, print, keep the figures; then say what is wrong, all of it at once."""
        services = self.rig.services
        self.load.write(receipts)
        balanced, document = await audit(self.rig, receipts)
        found = await count(self.rig, self.load, self.before)
        unwanted = [e for e in services.exits if e.at > self._began and not e.wanted]
        figures = self.figures
        figures.reports = len(self.load.receipts)
        figures.lost, figures.doubled = len(found.lost), len(found.doubled)
        figures.changed, figures.sent_twice = len(found.changed), len(found.sent_twice)
        figures.gap = self.load.longest_gap(self._began)
        figures.refused = {s: times for s, times in self.load.statuses.items() if s != 202}
        figures.exits = dict(Counter(f"{e.name} ({e.code})" for e in unwanted))
        figures.resets = services.counter(RESETS) - self._resets
        figures.live_red = dict(services.red(self._began, lambda sample: sample.live))
        figures.ready_red = dict(services.red(self._began, lambda sample: sample.ready))
        figures.well_red = dict(services.red(self._began, lambda sample: sample.well))
        figures.parked_or_dead = dict(Counter(await parked_or_dead(self.rig)) - self._put_aside)
        figures.balanced = balanced
        print(figures)
        _keep(figures)
        wrong = self._wrong(unwanted)
        if not balanced and not self.may_lose:
            wrong["audit"] = document
        if unnamed := self._not_named(found, document):
            wrong["lost, and not named by the audit"] = unnamed
        if wrong:
            wrong["found"] = {name: items[:5] for name, items in asdict(found).items() if items}
        assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False, default=str)

    def _not_named(self, found: Count, document: dict[str, Any]) -> list[str]:
        """What is lost and stands nowhere in the audit's document, which names a report that never
        came to intake by its receipt."""
        said = json.dumps(document)
        names = {each: each.rpartition(" ")[2] for each in found.lost}
        return [
            each for each, name in names.items() if self.load.receipts.get(name, name) not in said
        ]

    def _put_aside_unexpectedly(self) -> dict[str, int]:
        found = self.figures.parked_or_dead
        unusable = {"dispatch.dead_letter": self.dead_letters_expected}
        return {} if found == unusable and self.dead_letters_expected else found

    def _wrong(self, unwanted: list[Exit]) -> dict[str, Any]:
        figures = self.figures
        exited = {e.name for e in unwanted} - self.may_exit
        said = {
            "lost": 0 if self.may_lose else figures.lost,
            "doubled": figures.doubled,
            "changed": figures.changed,
            "sent twice": figures.sent_twice,
            "ended unasked": sorted(exited),
            "livez red": {} if self.live_may_be_red else figures.live_red,
            "parked or dead": self._put_aside_unexpectedly(),
            "partitions read again": 0 if self.may_reset else max(0, figures.resets),
        }
        return {name: value for name, value in said.items() if value}


def _keep(figures: Figures) -> None:
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(json.dumps(asdict(figures), ensure_ascii=False) + "\n")


@asynccontextmanager
async def trial(
    rig: Rig, fault: str, receipts: Path, *, posts_a_second: int = POSTS_A_SECOND
) -> AsyncIterator[Trial]:
    """Load from the beginning to the end of the block, then the verdict."""
    async with City(rig.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.import_network()
        load = Load(
            city,
            rig.services.urls,
            lambda: rig.audit_database("dispatch"),
            posts_a_second,
        )
        made = Trial(rig, city, load, fault)
        await made.note_put_aside()
        async with load.running():
            yield made
        await made.reckon(receipts)
