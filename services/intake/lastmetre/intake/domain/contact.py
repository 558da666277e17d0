"""Whether somebody can be reached, and how a phone number is shown to those who need not call."""

import re
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata

from lastmetre.common.contracts.reports import SubmittedContact

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{4,253}$)"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
_TYPED: Final = re.compile(r"[\s()./·-]+")


class Reachable(NamedTuple):
    """What of a contact can be used; the phone as E.164."""

    phone: str | None
    email: str | None

    def __bool__(self) -> bool:
        return bool(self.phone or self.email)


class ContactCheck:
    """Tells usable phones and addresses from others. `region` is where bare numbers are from."""

    def __init__(self, region: str) -> None:
        self._region = region
        metadata = PhoneMetadata.metadata_for_region(region)
        if metadata is None:
            raise ValueError(f"phonenumbers knows no region {region!r}")
        self._country_code = f"+{metadata.country_code}"
        # The library's own rule for mobiles, tried first: parsing in full costs 20 µs a number.
        mobile = metadata.mobile.national_number_pattern if metadata.mobile else None
        self._mobile = re.compile(mobile or "(?!)")

    def usable(self, contact: SubmittedContact) -> Reachable:
        """The ways that look as if they lead to somebody."""
        return Reachable(
            self._phone(contact.phone) if contact.phone else None,
            email if (email := (contact.email or "").strip()) and is_email(email) else None,
        )

    def _phone(self, typed: str) -> str | None:
        digits = _TYPED.sub("", typed).removeprefix(self._country_code)
        if digits.isascii() and digits.isdecimal() and self._mobile.fullmatch(digits):
            return self._country_code + digits
        try:
            number = phonenumbers.parse(typed, self._region)
        except NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_email(address: str) -> bool:
    """Whether mail could be sent there: an ASCII mailbox at a domain with a dot."""
    return len(address) <= 254 and _EMAIL.fullmatch(address) is not None


def masked_phone(phone: str) -> str:
    """`138****1234`; of a shorter one the last two digits, of a very short one nothing."""
    digits = re.sub(r"\D", "", phone)
    national = digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    if len(national) >= 10:
        return f"{national[:3]}****{national[-4:]}"
    return f"****{national[-2:]}" if len(national) >= 6 else "****"


def ends_with(phone: str, tail: str) -> bool:
    """Whether the digits of `phone` end with the four digits `tail`."""
    return len(tail) == 4 and re.sub(r"\D", "", phone).endswith(tail)
