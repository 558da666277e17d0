"""What anybody may do without a credential has limits: by what it is about, by who asks, by all."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

LONGEST_WINDOW: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Limit(NamedTuple):
    """At most so many attempts of a kind on the same thing within a window of time."""

    kind: str
    most: int
    window: timedelta

    def window_at(self, now: datetime) -> datetime:
        """When the window began in which `now` (aware) lies."""
        return now - (now - _EPOCH) % self.window


class Attempt(NamedTuple):
    """Something that is counted towards a limit; `about` tells it from others of its kind."""

    limit: Limit
    about: str = ""


class TooManyAttempts(Exception):
    """A limit is passed: nothing was looked for, and nothing sent."""

    def __init__(self, passed: Limit, *, of_contact: bool = False) -> None:
        super().__init__(passed.kind)
        self.passed = passed
        self.of_contact = of_contact
        """Whether it is the limit of whoever would be written to."""


class SignInWay(StrEnum):
    """What anybody may ask of the sign-in that looks at something he brings, passwords aside."""

    CALLBACK = "callback"
    LINK = "link"
    EXCHANGE = "exchange"
    ENDED = "ended"
    DISPLAY = "display"


class PublicLimits(NamedTuple):
    """What is limited of the forms that are open to everybody."""

    find: Limit
    find_by_client: Limit
    find_by_number: Limit
    form: Limit
    form_by_client: Limit
    form_by_contact: Limit
    photo: Limit
    photo_by_client: Limit

    def finding(self, client: str, number: str) -> list[Attempt]:
        """What somebody counts as who asks for a report by its number."""
        return [
            Attempt(self.find),
            Attempt(self.find_by_client, client),
            Attempt(self.find_by_number, number),
        ]

    def reporting(self, client: str, contacts: Iterable[str]) -> list[Attempt]:
        """What somebody counts as who sends the form with these phones and addresses."""
        return [
            Attempt(self.form),
            Attempt(self.form_by_client, client),
            *(Attempt(self.form_by_contact, contact) for contact in contacts),
        ]

    def sending_photo(self, client: str) -> list[Attempt]:
        """What somebody counts as who sends a photo with the form."""
        return [Attempt(self.photo), Attempt(self.photo_by_client, client)]


def client_of(host: str | None) -> str:
    """Whom an address is counted as: of IPv6 the network that one household or server has."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((address, 64), strict=False))
    return str(address)
