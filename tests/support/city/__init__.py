"""The driver of all tests that need services: pieces, and a city that has them all.

`City` talks to a whole stack. `IntakeAlone`, `NotifyAlone` and `MetricsAlone` run one service on
topics and in a database of its own, as many processes as a test wants.
"""

from tests.support.city.credentials import Credentials, key_bytes, key_text
from tests.support.city.figures import figure
from tests.support.city.intake import IntakeAlone
from tests.support.city.looking import Looking
from tests.support.city.metrics import MetricsAlone
from tests.support.city.notify import NotifyAlone
from tests.support.city.people import People
from tests.support.city.places import AREAS, inside, square
from tests.support.city.processes import ServiceProcess
from tests.support.city.records import TRACE, Headers, submitted
from tests.support.city.reports import Reports
from tests.support.city.waiting import WAIT_SECONDS, eventually, until_true, wait_until


class City(Reports, People, Looking):
    """Talks to the services of one stack, as `endpoints.json` describes it."""


__all__ = [
    "AREAS",
    "TRACE",
    "WAIT_SECONDS",
    "City",
    "Credentials",
    "Headers",
    "IntakeAlone",
    "MetricsAlone",
    "NotifyAlone",
    "ServiceProcess",
    "eventually",
    "figure",
    "inside",
    "key_bytes",
    "key_text",
    "square",
    "submitted",
    "until_true",
    "wait_until",
]
