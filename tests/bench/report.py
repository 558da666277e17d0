"""The figures for people (rich tables) and for programs (JSON)."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Accepting, Figures, Latency, Side, Spread, Starting

ROUNDS_TO_NOTHING: Final = 0.005


def document(figures: Figures) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return {
        **asdict(figures),
        "summary": {
            name: {"rate": asdict(side.rate), "cpu_ms": asdict(side.cpu_ms)}
            for name, side in (("floor", figures.floor), ("platform", figures.platform))
            if side
        },
        "bars": [asdict(bar) | {"reached": bar.reached} for bar in figures.bars()],
    }


def show(figures: Figures, console: Console, judged: bool) -> None:
    """Print it all; `judged`: with the bars."""
    _facts(figures, console)
    if figures.floor and figures.platform:
        console.print(_sides(figures.floor, figures.platform))
        console.print(_trails(figures.floor, figures.platform))
    for difference in figures.differences:
        console.print(
            f"[red]not alike[/] {difference.what}: floor {difference.floor},"
            f" platform {difference.platform}"
        )
    if figures.latency:
        console.print(_latency(figures.latency))
    if figures.accepting:
        console.print(_accepting(figures.accepting))
    if figures.starting:
        console.print(_starting(figures.starting))
    for fault in figures.faults:
        console.print(f"[red]fault[/] {fault}")
    if judged:
        console.print(_bars(figures))


def _facts(figures: Figures, console: Console) -> None:
    for title, facts in (("machine", figures.machine), ("settings", figures.settings)):
        console.print(f"[bold]{title}[/] " + ", ".join(f"{k} {v}" for k, v in facts.items()))
    paces = ", ".join(f"{pace:.1f}" for pace in figures.paces)
    console.print(f"[bold]pace[/] microseconds for one small JSON document, each time: {paces}")


def _spread(spread: Spread, decimals: int) -> str:
    least, middle, most = (
        f"{value:,.{decimals}f}" for value in (spread.least, spread.median, spread.largest)
    )
    return f"[bold]{middle}[/] ({least} to {most})"


def _sides(floor: Side, platform: Side) -> Table:
    table = Table(title="Full lifecycles: median (least to largest)")
    for name in ("", "floor", "platform", "platform / floor"):
        table.add_column(name, justify="left" if not name else "right")
    rates = floor.rate, platform.rate
    table.add_row(
        "lifecycles a second",
        *(_spread(rate, 0) for rate in rates),
        f"{rates[1].median / rates[0].median:.2f}",
    )
    totals = floor.cpu_ms, platform.cpu_ms
    table.add_row(
        "CPU-ms a lifecycle",
        *(_spread(total, 2) for total in totals),
        f"{totals[1].median / totals[0].median:.2f}",
        end_section=True,
    )
    for part in platform.runs[0].cpu_ms:
        pair = floor.cpu_ms_of(part), platform.cpu_ms_of(part)
        table.add_row(
            f"  {part}",
            *(_spread(each, 3) for each in pair),
            f"{pair[1].median / max(pair[0].median, 1e-9):.2f}",
        )
    others = [Spread.of([run.others * 100 for run in side.runs]) for side in (floor, platform)]
    table.add_section()
    table.add_row("others on the machine, %", *(_spread(each, 1) for each in others), "")
    return table


def _trails(floor: Side, platform: Side) -> Table:
    table = Table(title="What a lifecycle leaves: floor / platform")
    for name in ("", "inserted", "updated", "deleted"):
        table.add_column(name, justify="left" if not name else "right")
    for name, ours in sorted(platform.trail.rows.items()):
        theirs = floor.trail.rows[name]
        if max(*ours, *theirs) >= ROUNDS_TO_NOTHING:
            pairs = zip(theirs, ours, strict=True)
            table.add_row(name, *(f"{a:.2f} / {b:.2f}" for a, b in pairs))
    table.add_section()
    table.add_row("[bold]topic", "[bold]messages", "", "[bold]bytes each")
    for topic, count in platform.trail.messages.items():
        sizes = f"{floor.trail.bytes[topic]:.0f} / {platform.trail.bytes[topic]:.0f}"
        table.add_row(topic, f"{floor.trail.messages[topic]:.2f} / {count:.2f}", "", sizes)
    return table


def _starting(starting: Starting) -> Table:
    table = Table(title="Catching up at start: dispatch's own topics")
    for name in ("nothing, ms", "known, records/s", "unknown, records/s", "adopted"):
        table.add_column(name, justify="right")
    table.add_row(
        _spread(starting.nothing_ms, 0),
        f"{starting.known_rate:,.0f}",
        f"{starting.unknown_rate:,.0f}",
        f"{starting.adopted:,}",
    )
    return table


def _latency(latency: Latency) -> Table:
    table = Table(
        title=f"POST to the lead's message at {latency.rate:,.0f} reports a second, milliseconds"
    )
    columns = [
        *("p50", "p95", "p99", "largest", "reports", "rate kept", "answers", "no message"),
        *("CPU-ms each", "others, %"),
    ]
    for name in columns:
        table.add_column(name, justify="right")
    times = (latency.p50, latency.p95, latency.p99, latency.largest)
    table.add_row(
        *(f"{each:,.0f}" for each in times),
        f"{latency.reports:,}",
        f"{latency.achieved_rate:,.0f}/s",
        _counts(latency.statuses),
        str(latency.unanswered),
        f"{sum(latency.cpu_ms.values()):.2f}",
        f"{latency.others * 100:.1f}",
    )
    return table


def _accepting(found: Iterable[Accepting]) -> Table:
    table = Table(
        title="Accepting, acks=all before each answer; of the services only intake runs, and its"
        " own reading of the channels goes on meanwhile"
    )
    for name in ("", "connections", "reports a second", "CPU-ms a report", "answers"):
        table.add_column(name, justify="left" if not name else "right")
    for each in found:
        parts = ", ".join(f"{part} {ms:.3f}" for part, ms in each.cpu_ms.items())
        table.add_row(
            each.what, str(each.connections), _spread(each.rates, 0), parts, _counts(each.statuses)
        )
    return table


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))


def _bars(figures: Figures) -> Table:
    table = Table(title="Bars")
    for name in ("", "figure", "bar", "aim", ""):
        table.add_column(name)
    for bar in figures.bars():
        sign = "≤" if bar.at_most else "≥"
        aim = "" if bar.aim is None else f"{sign} {bar.aim:g} {bar.unit}"
        verdict = "[green]reached" if bar.reached else "[red]not reached"
        value = f"{bar.value:,.2f}" if bar.value < 100 else f"{bar.value:,.0f}"
        limit = f"{sign} {bar.bar:,g} {bar.unit}"
        table.add_row(bar.what, f"{value} {bar.unit}", limit, aim, verdict)
    return table
