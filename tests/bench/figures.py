"""The figures of a benchmark, and the bars that they are held against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trail:
    """What one lifecycle leaves: rows by `service.table` as (inserted, updated, deleted),
    messages by topic, and the mean size of a message in bytes, key and headers included."""

    rows: dict[str, tuple[float, float, float]]
    messages: dict[str, float]
    bytes: dict[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that floor and platform do not both write."""

    what: str
    floor: object
    platform: object


@dataclass(frozen=True, slots=True)
class Run:
    """Lifecycles driven through one side. CPU by part, `machine` the share of all processors that
    was busy; what is busy beyond `cpu_ms` is somebody else's."""

    lifecycles: int
    seconds: float
    cpu_ms: dict[str, float]
    machine: float
    processors: int

    @property
    def rate(self) -> float:
        """Lifecycles a second."""
        return self.lifecycles / self.seconds

    @property
    def cpu_ms_total(self) -> float:
        """CPU-milliseconds a lifecycle, all parts."""
        return sum(self.cpu_ms.values())

    @property
    def others(self) -> float:
        """The share of the machine that other programs (and the kernel for them) took."""
        ours = self.cpu_ms_total * self.rate / 1000 / self.processors
        return max(self.machine - ours, 0.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the largest of several runs."""

    least: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True, slots=True)
class Side:
    """All runs of floor or platform, and what a lifecycle leaves there."""

    runs: list[Run]
    trail: Trail

    @property
    def rate(self) -> Spread:
        """Lifecycles a second."""
        return Spread.of([run.rate for run in self.runs])

    @property
    def cpu_ms(self) -> Spread:
        """CPU-milliseconds a lifecycle."""
        return Spread.of([run.cpu_ms_total for run in self.runs])

    def cpu_ms_of(self, part: str) -> Spread:
        """CPU-milliseconds a lifecycle of one part."""
        return Spread.of([run.cpu_ms[part] for run in self.runs])


@dataclass(frozen=True, slots=True)
class Latency:
    """From the moment when a report was due to be sent to the lead's message, milliseconds."""

    rate: float
    achieved_rate: float
    reports: int
    p50: float
    p95: float
    p99: float
    largest: float
    statuses: dict[str, int]
    unanswered: int
    """Reports whose lead's message did not come."""
    cpu_ms: dict[str, float]
    """CPU-milliseconds a lifecycle by part, posting included."""
    others: float
    """The share of the machine that other programs took."""


@dataclass(frozen=True, slots=True)
class Accepting:
    """Reports taken by the edge, each answered once the broker had it."""

    what: str
    reports_per_request: int
    connections: int
    rates: Spread
    """Reports a second."""
    cpu_ms: dict[str, float]
    """CPU-milliseconds a report by part, of the middle run."""
    statuses: dict[str, int]

    @property
    def errors(self) -> int:
        """Answers that were not 202."""
        return sum(count for status, count in self.statuses.items() if status != "202")


@dataclass(frozen=True, slots=True)
class Starting:
    """What catching up costs dispatch when it starts, connecting included."""

    nothing_ms: Spread
    """With nothing to catch up."""
    known_rate: float
    """Records a second, where all are known: the first start after an upgrade."""
    unknown_rate: float
    """Records a second, where none is: the database was lost."""
    adopted: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that must be reached, and one to aim for."""

    what: str
    value: float
    bar: float
    unit: str
    at_most: bool = False
    aim: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the figure is good enough."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar


@dataclass(slots=True)
class Figures:
    """Everything that was found out."""

    machine: dict[str, object]
    settings: dict[str, object]
    floor: Side | None = None
    platform: Side | None = None
    differences: list[Difference] = field(default_factory=list)
    latency: Latency | None = None
    accepting: list[Accepting] = field(default_factory=list)
    starting: Starting | None = None
    paces: list[float] = field(default_factory=list)
    """The processor's pace before each measurement, microseconds (`ground.pace`)."""
    faults: list[str] = field(default_factory=list)
    """Effects that are missing, errors in answers: with these no figure counts."""

    def wrong_answers(self) -> list[str]:
        """Answers of the edge that were not 202, messages that did not come."""
        found = [f"{each.what}: {each.statuses}" for each in self.accepting if each.errors]
        if self.latency and (self.latency.unanswered or set(self.latency.statuses) != {"202"}):
            lost = f"{self.latency.unanswered} leads without a message"
            found.append(f"latency: {self.latency.statuses}, {lost}")
        return found

    def bars(self) -> list[Bar]:
        """The bars of what was measured."""
        bars: list[Bar] = []
        if self.floor and self.platform:
            ratio = self.platform.rate.median / self.floor.rate.median
            bars.append(Bar("platform to floor, lifecycles a second", ratio, 0.74, ""))
        if self.platform:
            cpu = self.platform.cpu_ms.median
            bars.append(Bar("CPU a lifecycle", cpu, 2.0, "ms", at_most=True, aim=1.6))
        if self.latency:
            p95 = self.latency.p95
            bars.append(Bar("POST to the lead's message, p95", p95, 500, "ms", at_most=True))
        for each in self.accepting:
            bar = 1_500 if each.reports_per_request == 1 else 10_000
            bars.append(Bar(each.what, each.rates.median, bar, "reports/s"))
        if self.starting:
            nothing = self.starting.nothing_ms.median
            bars.append(Bar("nothing to catch up at start", nothing, 100, "ms", at_most=True))
        return bars
