"""What `make demo` prints: where to look, how far the day is, what came of it, what to try."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lastmetre.audit.balance import Balance
from lastmetre.cli.endpoints import Endpoints
from lastmetre.devstack.demo.city import SampleCity
from lastmetre.devstack.demo.play import Played
from lastmetre.devstack.demo.summary import STAGES, Figures
from lastmetre.devstack.demo.time_lapse import CITY_ZONE
from lastmetre.devstack.home import Home

WIDTH: Final = 96
CHANNELS: Final = ("hotline", "app", "patrol")
PHONE: Final = "13800138000"
_KEY: Final = "bold cyan"


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(
        content, title=Text(title, "bold"), title_align="left", width=WIDTH, padding=(1, 2)
    )


def _grid(*widths: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    for width in widths:
        grid.add_column(min_width=width, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    return grid


def short(path: Path) -> str:
    """A path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def day_name(day: date) -> str:
    """Tuesday 24 November 2026."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def addresses(city: SampleCity, endpoints: Endpoints, login: str, home: Home) -> Panel:
    """Every page and who opens it."""
    grid = _grid(16, 15)
    for page, who, address in (
        ("Board", "supervisor", f"{login}/board"),
        ("Report form", "anyone", f"{endpoints.services['intake']}/report"),
        ("Worklist", "area lead", f"{login}/lead"),
        ("Command centre", "operator", f"{login}/centre"),
        ("Command centre", "administrator", f"{login}/administrator"),
        ("Messages", "administrator", f"{login}/messages"),
        ("A progress page", "reporter", f"{login}/progress"),
        ("A rating page", "reporter", f"{login}/rate"),
        ("Message texts", "files", f"{short(home.outbox)}/"),
    ):
        grid.add_row(Text(page, _KEY), Text(who, "dim"), address)
    towns = len(city.places.towns)
    communities = sum(len(town.communities) for town in city.places.towns)
    words = Text(
        f"An invented city: {towns} towns, {communities} communities, {len(city.areas)} areas, "
        f"{len(city.leads)} leads, {len(city.categories)} kinds of problem.\n",
        "dim",
    )
    return _panel(Group(words, grid), "Yunqiao 云桥市 is up")


def progress_line(played: Played) -> str:
    """How far the play has come."""
    local = played.now.astimezone(CITY_ZONE)
    return (
        f"{local:%a} {local.day} {local:%b %H:%M}  {played.steps:,} steps by leads,"
        f" {played.ratings:,} ratings"
    )


def summary(day: date, figures: Figures, balance: Balance) -> Panel:
    """The day in figures."""
    grid = _grid(16, 9)
    grid.add_row(
        Text("Reports", _KEY),
        _number(sum(figures.reports.values())),
        "   ".join(f"{channel} {figures.reports.get(channel, 0):,}" for channel in CHANNELS),
    )
    cases = figures.cases
    grid.add_row(Text("With a lead", _KEY), _number(cases["matched_to_leads"]), _ways(cases))
    for name, count, reasons in (
        ("Unplaced", cases["unplaced"], cases["unplaced_by_reason"]),
        ("Cancelled", cases["cancelled"], cases["cancelled_by_reason"]),
    ):
        grid.add_row(Text(name, _KEY), _number(count), _reasons(reasons))
    grid.add_row(
        Text("Joined", _KEY), _number(cases["merged_reports"]), "reported already by somebody else"
    )
    grid.add_row()
    for stage, words in STAGES.items():
        grid.add_row(*_time(words, figures.response_times[stage]))
    grid.add_row()
    grid.add_row(Text("Satisfaction", _KEY), *_satisfaction(figures.satisfaction))
    grid.add_row(
        Text("Messages sent", _KEY),
        _number(sum(figures.messages.values())),
        f"to reporters {figures.messages.get('reporter', 0):,}   "
        f"to leads {figures.messages.get('lead', 0):,}",
    )
    grid.add_row(Text("Books", _KEY), *_books(balance))
    return _panel(grid, f"Yesterday in Yunqiao: {day_name(day)}")


def _number(value: int) -> Text:
    return Text(f"{value:,}", "bold", justify="right")


def _ways(cases: Any) -> str:
    return (
        f"closed {cases['closed']:,}   open {cases['open'] - cases['unplaced']:,}   "
        f"fixed on the spot {cases['fixed_on_spot']:,}"
    )


def _reasons(counts: Mapping[str, int]) -> str:
    return "   ".join(f"{why.replace('_', ' ')} {count:,}" for why, count in sorted(counts.items()))


def _time(words: str, time: Any) -> tuple[Text, Text, str]:
    label = Text(words, _KEY)
    if not time["n"]:
        return label, Text("no data", "dim"), ""
    return (
        label,
        Text(_duration(time["median"]), "bold", justify="right"),
        f"median of {time['n']:,} cases   90 % within {_duration(time['p90'])}",
    )


def _duration(seconds: float) -> str:
    minutes = round(timedelta(seconds=seconds).total_seconds() / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _satisfaction(said: Any) -> tuple[Text, str]:
    if not said.get("answers"):
        return Text("no data", "dim"), ""
    score, solved = said["mean_score"], said["solved_rate"]
    return (
        Text(f"{score['value']:.2f}", "bold", justify="right"),
        f"of 5 from {said['answers']:,} answers, ± {(score['high'] - score['low']) / 2:.2f}   "
        f"solved {solved['value']:.0%}",
    )


def _books(balance: Balance) -> tuple[Text, str]:
    lines = list(balance)
    wrong = [line.title for line in lines if not line.balanced]
    if wrong:
        return Text("wrong", "bold red", justify="right"), "; ".join(wrong)
    return (
        Text("balanced", "bold green", justify="right"),
        f"{len(lines)} of {len(lines)} lines: nothing lost, nothing doubled",
    )


def first_clicks(endpoints: Endpoints, login: str, home: Home, today: date) -> Panel:
    """What a visitor can do himself, in order."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_KEY, justify="right")
    grid.add_column(ratio=1, overflow="fold")
    for number, (what, address) in enumerate(
        (
            (f"Report something: tap the map, say what it is, leave a phone ({PHONE}).",
             f"{endpoints.services['intake']}/report"),
            ("Be the lead who got it: accept, arrive, resolve.", f"{login}/lead"),
            ("Read what the reporter was told at each step.",
             f"{short(home.outbox)}/{today.isoformat()}/"),
            ("Rate it, as the reporter.", f"{login}/rate"),
            ("See it on the board, which moves as you act.", f"{login}/board"),
        ), start=1,
    ):  # fmt: skip
        grid.add_row(str(number), Group(Text(what), Text.assemble((address, "underline"))))
    return _panel(grid, "Now you: the clock runs in real time")
