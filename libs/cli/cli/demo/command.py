"""`lastmetre demo`: the sample city, a day played in time-lapse, and a visit."""

import asyncio
import signal
import time
from typing import Annotated, Final

import typer

from cli.client import ServiceClient
from cli.console import STDOUT, Trouble, progress_bar, say
from cli.demo import output
from cli.demo.city import AREAS, LEADS, SampleCity, SampleCityError, load_city
from cli.demo.diary import Diary
from cli.demo.door import open_door
from cli.demo.lapse import CITY_ZONE, Lapse, clock_file, yesterday
from cli.demo.play import Play, Played
from cli.demo.scenario import make_day
from cli.demo.summary import books, figures_of
from cli.network.areas import Properties
from cli.network.command import publish, read_network
from cli.stack.endpoints import Endpoints
from cli.stack.home import SAMPLE_CITY, Home, default_home
from cli.stack.stack import Stack
from common.runtime.clock import RealClock

SEED: Final = 12345
REPORTS: Final = 2100
NOTED_EVERY_SECONDS: Final = 1.0


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the summary; 0 only if the books balance.")
    ] = False,
) -> None:
    """A sample city: starts the stack, plays yesterday in about a minute, stays up until Ctrl-C.

    The same day is never played twice in one LASTMETRE_HOME; a play that was interrupted goes on.
    """
    # SIGTERM ends it in the same orderly way as Ctrl-C, also in the middle of the play.
    # A shell's background job would be deaf to Ctrl-C's own signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        city = load_city(SAMPLE_CITY)
    except SampleCityError as error:
        raise Trouble(str(error)) from error
    try:
        balanced = _Demo(city, Home(default_home())).run(once)
    except KeyboardInterrupt:
        say("Stopped.")
        return
    if once and not balanced:
        raise typer.Exit(1)


class _Demo:
    def __init__(self, city: SampleCity, home: Home) -> None:
        self._city = city
        self._home = home
        self._day = yesterday(RealClock().now())

    def run(self, once: bool) -> bool:
        """All of it; returns whether the books balanced after the play."""
        clock_file(self._home).unlink(missing_ok=True)
        environment = {
            "LASTMETRE_CITY_TIME_ZONE": CITY_ZONE.key,
            "LASTMETRE_CLOCK_FILE": str(clock_file(self._home)),
        }
        with Stack(self._home.root, environment=environment, report=say) as stack:
            endpoints = stack.endpoints
            with (
                open_door(endpoints, stack.port("demo")) as door,
                ServiceClient(endpoints) as services,
            ):
                self._import_network(services)
                STDOUT.print(output.addresses(self._city, endpoints, door, self._home))
                self._play_unless_there(endpoints)
                balance = books()
                STDOUT.print(output.summary(self._day, figures_of(self._day, services), balance))
                if not once:
                    today = RealClock().now().astimezone(CITY_ZONE).date()
                    STDOUT.print(output.first_clicks(endpoints, door, self._home, today))
                    say("Up. Ctrl-C stops everything.")
                    for line in stack.watch():
                        if line:
                            say(line)
        return balance.balanced

    def _import_network(self, services: ServiceClient) -> None:
        network = read_network(
            SAMPLE_CITY / AREAS, Properties("area_id"), leads=SAMPLE_CITY / LEADS
        )
        own = {area.area_id for area in network.areas}
        there = {each["area_id"] for each in services.get("dispatch", "/network")["areas"]}
        if there - own:
            raise Trouble(
                f"The stack in {self._home.root} has another city's areas ({len(there):,}).",
                "give the demo a folder of its own: `LASTMETRE_HOME=.lastmetre-demo make demo`.",
            )
        publish(services, network)

    def _play_unless_there(self, endpoints: Endpoints) -> None:
        diary = Diary.read(self._home)
        so_far = diary.played_until if diary and diary.day == self._day else None
        if diary and so_far and diary.finished:
            say(f"{output.day_name(self._day)} is already there: nothing was added.")
            return
        day = make_day(self._city, self._day, CITY_ZONE, SEED, REPORTS)
        lapse = Lapse(self._day, self._home, so_far)
        noted = 0.0
        with progress_bar("the day begins", len(day.reports)) as bar:

            def told(played: Played) -> None:
                nonlocal noted
                bar.title(output.progress_line(played))
                bar.at(played.reports)
                if time.monotonic() > noted + NOTED_EVERY_SECONDS:
                    noted = time.monotonic()
                    self._note(played)

            played = asyncio.run(Play(day, lapse, endpoints, told).perform())
        self._note(played, finished=True)

    def _note(self, played: Played, finished: bool = False) -> None:
        Diary(day=self._day, played_until=played.now, finished=finished).write(self._home)
