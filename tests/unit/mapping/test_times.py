"""Local times become instants: both halves of the day, both sides of daylight saving."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.mapping.model import Times
from lastmetre.common.mapping.times import read_time

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
FORMAT = "%m/%d/%Y %I:%M:%S %p"
TIMES = Times(zone=LOS_ANGELES, format=(FORMAT,))

# Worked out by hand: Pacific Standard Time is eight hours behind UTC, daylight time seven. In 2018
# the clocks went forward on 11 March at 2:00 and back on 4 November at 2:00.
TABLE = {
    "01/01/2018 12:00:09 AM": ("2018-01-01T08:00:09Z", None),
    "01/01/2018 12:00:09 PM": ("2018-01-01T20:00:09Z", None),
    "07/04/2018 11:59:59 PM": ("2018-07-05T06:59:59Z", None),
    "03/11/2018 01:59:59 AM": ("2018-03-11T09:59:59Z", None),
    "03/11/2018 02:30:00 AM": ("2018-03-11T10:30:00Z", "never was"),
    "03/11/2018 03:00:00 AM": ("2018-03-11T10:00:00Z", None),
    "11/04/2018 12:59:59 AM": ("2018-11-04T07:59:59Z", None),
    "11/04/2018 01:30:00 AM": ("2018-11-04T08:30:00Z", "was twice"),
    "11/04/2018 02:00:00 AM": ("2018-11-04T10:00:00Z", None),
}


@pytest.mark.parametrize("text", TABLE)
def test_by_hand(text: str) -> None:
    instant, doubt = TABLE[text]
    moment = read_time(text, TIMES)
    assert moment.at == datetime.fromisoformat(instant)
    assert (moment.doubt is None) if doubt is None else (doubt in (moment.doubt or ""))


@given(st.integers(0, 2_000_000_000))
def test_every_instant_that_a_clock_showed_is_found_again(seconds: int) -> None:
    instant = datetime.fromtimestamp(seconds, UTC)
    local = instant.astimezone(LOS_ANGELES)
    moment = read_time(local.strftime(FORMAT), TIMES)
    if local.fold:
        assert moment.at == instant - timedelta(hours=1)
        assert moment.doubt
    else:
        assert moment.at == instant


@pytest.mark.parametrize("text", ["", "13/01/2018 01:00:00 AM", "01/01/2018 13:00:00 PM", "1.1.18"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        read_time(text, TIMES)


def test_an_offset_in_the_file_counts_more_than_the_zone() -> None:
    times = Times(zone=LOS_ANGELES, format=("%Y-%m-%dT%H:%M:%S%z",))
    assert read_time("2018-01-01T00:00:00+0800", times).at == datetime(2017, 12, 31, 16, tzinfo=UTC)


# Finding 3: near the ends of what Python can hold, another zone has no such time.
@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Shanghai", "0001-01-01 00:00:00"),
        ("America/Los_Angeles", "9999-12-31 23:59:59"),
        ("Asia/Shanghai", "1900-01-01 00:00:00"),
        ("America/Los_Angeles", "2100-12-31 23:59:59"),
        ("Asia/Shanghai", "3020-01-03 10:00:00"),
    ],
)
def test_finding_3_a_time_in_no_year_that_can_be_meant_is_refused(zone: str, text: str) -> None:
    times = Times(zone=ZoneInfo(zone), format=("%Y-%m-%d %H:%M:%S",))
    with pytest.raises(ValueError, match="not in the years 1900 to 2100"):
        read_time(text, times)


def test_finding_3_an_offset_leads_to_no_year_that_cannot_be_meant() -> None:
    times = Times(zone=LOS_ANGELES, format=("%Y-%m-%dT%H:%M:%S%z",))
    with pytest.raises(ValueError, match="not in the years 1900 to 2100"):
        read_time("0001-01-01T00:00:00+1400", times)
