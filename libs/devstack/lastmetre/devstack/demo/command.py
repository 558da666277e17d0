"""`lastmetre demo`: the sample city, a day played in time-lapse, and a visit."""

import asyncio
import time
from typing import Annotated, Final

import typer

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import STDOUT, Trouble, end_in_order_on_signals, progress_bar, say
from lastmetre.cli.endpoints import Endpoints, default_home
from lastmetre.cli.network.areas import Properties
from lastmetre.cli.network.command import publish, read_network
from lastmetre.cli.profile import Installation
from lastmetre.common.service.clock import RealClock
from lastmetre.devstack.demo import output
from lastmetre.devstack.demo.city import (
    AREAS,
    GAZETTEER,
    LEADS,
    SampleCity,
    SampleCityError,
    load_city,
)
from lastmetre.devstack.demo.demo_login import serve_demo_login
from lastmetre.devstack.demo.demo_state import DemoState
from lastmetre.devstack.demo.play import Play, Played
from lastmetre.devstack.demo.scenario import make_day
from lastmetre.devstack.demo.summary import figures_of, settled_balance
from lastmetre.devstack.demo.time_lapse import (
    CITY_ZONE,
    DayTimeLapse,
    clock_file,
    hold_clock,
    yesterday,
)
from lastmetre.devstack.home import SAMPLE_CITY, Home
from lastmetre.devstack.stack import Stack

SEED: Final = 12345
REPORTS: Final = 2100
NOTED_EVERY_SECONDS: Final = 1.0


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the summary; 0 only if the books balance.")
    ] = False,
) -> None:
    """A sample city: starts the stack, plays yesterday, about a minute and a half, stays up.

    The same day is never played twice in one LASTMETRE_HOME; a play that was interrupted goes on.
    """
    end_in_order_on_signals()
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
        state = DemoState.read(home)
        self._so_far = state if state and state.day == self._day else None

    def run(self, once: bool) -> bool:
        """All of it; returns whether the books balanced after the play."""
        self._set_clock()
        environment = {
            "LASTMETRE_CITY_TIME_ZONE": CITY_ZONE.key,
            "LASTMETRE_CLOCK_FILE": str(clock_file(self._home)),
            "INTAKE_GAZETTEER_FILE": str(SAMPLE_CITY / GAZETTEER),
        }
        with Stack(self._home.root, environment=environment, report=say) as stack:
            endpoints = stack.endpoints
            with (
                serve_demo_login(endpoints, self._home.root, stack.port("demo")) as login,
                ServiceClient(Installation.of_stack(endpoints, self._home.root)) as services,
            ):
                self._import_network(services)
                STDOUT.print(output.addresses(self._city, endpoints, login, self._home))
                self._play_unless_there(endpoints)
                balance = settled_balance(Installation.of_stack(endpoints, self._home.root))
                STDOUT.print(output.summary(self._day, figures_of(self._day, services), balance))
                if not once:
                    today = RealClock().now().astimezone(CITY_ZONE).date()
                    STDOUT.print(output.first_clicks(endpoints, login, self._home, today))
                    say("Up. Ctrl-C stops everything.")
                    for line in stack.watch():
                        if line:
                            say(line)
        return balance.balanced

    def _set_clock(self) -> None:
        """To real time, or to where an interrupted play stood. Not that of a stack that runs."""
        self._home.make()
        state = self._so_far
        with self._home.locked():
            if state and state.played_until and not state.finished:
                hold_clock(self._home, state.played_until)
            else:
                clock_file(self._home).unlink(missing_ok=True)

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
        if self._so_far and self._so_far.finished:
            say(f"{output.day_name(self._day)} is already there: nothing was added.")
            return
        day = make_day(self._city, self._day, CITY_ZONE, SEED, REPORTS)
        played_until = self._so_far.played_until if self._so_far else None
        time_lapse = DayTimeLapse(self._day, self._home, played_until)
        noted = 0.0
        with progress_bar("the day begins", len(day.reports)) as bar:

            def on_progress(played: Played) -> None:
                nonlocal noted
                bar.title(output.progress_line(played))
                bar.at(played.reports)
                if time.monotonic() > noted + NOTED_EVERY_SECONDS:
                    noted = time.monotonic()
                    self._note(played)

            play = Play(day, time_lapse, endpoints, on_progress)
            try:
                asyncio.run(play.perform())
            finally:
                self._note(play.played)
        self._note(play.played, finished=True)

    def _note(self, played: Played, finished: bool = False) -> None:
        DemoState(day=self._day, played_until=played.now, finished=finished).write(self._home)
