"""The played day's clock: where an interrupted play goes on, and whose clock is left alone."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lastmetre.cli.main import app
from lastmetre.common.service.clock import RealClock, TimeLapseClock
from lastmetre.devstack.demo.demo_state import DemoState
from lastmetre.devstack.demo.time_lapse import (
    SPEED,
    DayTimeLapse,
    clock_file,
    hold_clock,
    midnights,
    yesterday,
)
from lastmetre.devstack.home import Home

DAY = date(2026, 11, 24)
REAL = RealClock()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make()
    return home


def test_an_interrupted_day_stands_where_it_stopped_and_goes_on_from_there(home: Home) -> None:
    noon = midnights(DAY)[0] + timedelta(hours=12)
    service = TimeLapseClock(clock_file(home), REAL)
    hold_clock(home, noon)
    assert service.now() == noon
    assert service.at(REAL.now() + timedelta(minutes=10)) == noon

    lapse = DayTimeLapse(DAY, home, noon)
    began = REAL.now()
    assert lapse.now() == noon
    after = service.at(began + timedelta(seconds=10)) - noon
    assert timedelta(seconds=9 * SPEED) < after <= timedelta(seconds=10 * SPEED)


def test_a_play_under_way_keeps_its_clock_when_somebody_starts_another(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTMETRE_HOME", str(home.root))
    today = yesterday(REAL.now())
    DayTimeLapse(today, home)
    DemoState(day=today, played_until=midnights(today)[0]).write(home)
    before = clock_file(home).read_bytes()
    with home.locked():
        result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert "Another stack" in result.output
    assert clock_file(home).read_bytes() == before
