"""Phones and e-mail addresses as people type them: what of a contact can be used."""

import re
import unicodedata
from itertools import pairwise
from typing import Final, NamedTuple

import idna
import phonenumbers
from phonenumbers import (
    Leniency,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberMatcher,
    PhoneNumberType,
)

from lastmetre.common.text import without_marks

_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{4,253}$)"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
_BETWEEN_EMAILS: Final = re.compile(r"[;,、/|()<>\[\]\r\n]+")
# Not any word with a colon: `Bcc:` was no label of ours.
_EMAIL_LABEL: Final = re.compile(r"(?:\b(?:mailto|e-?mail)|[^\x00-\x7f])\s*:", re.IGNORECASE)
# Full stops that Chinese keyboards write; NFKC makes one of the half-width one.
_DOTS: Final = str.maketrans({"。": ".", "｡": "."})
_TYPED: Final = re.compile(r"[\s()./·-]+")
# What spreadsheets make of a number: 1.39E+10, of which the digits are lost, and 13800138000.0.
_SCIENTIFIC: Final = re.compile(r"\d(?:[.,]\d+)?E\+?\d{1,2}", re.ASCII | re.IGNORECASE)
_FLOAT: Final = re.compile(r"(\+?\d{5,})\.0+", re.ASCII)
_EXTENSION: Final = re.compile(r"-\d{2,5}$", re.ASCII)
_MAY_BE_MOBILE: Final = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)

SCIENTIFIC: Final = (
    "A spreadsheet has shortened this number and its digits are lost: format the column as text"
)
NO_PHONE: Final = "This is not a phone number that we can reach"
NO_EMAIL: Final = "This is not an e-mail address that we can reach"
NO_TEXT_MESSAGES: Final = "This number receives no text messages"


class Reachable(NamedTuple):
    """What of a contact can be used; the phone as E.164. True if messages reach it."""

    phone: str | None
    email: str | None
    takes_texts: bool = False
    """Whether the phone may be a mobile."""

    def __bool__(self) -> bool:
        return self.takes_texts or self.email is not None


class Remark(NamedTuple):
    """Why a field of a contact is not used."""

    field: str
    message: str


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

    def usable(self, phone: str | None, email: str | None) -> Reachable:
        """The ways that look as if they lead to somebody, of each field's the first.

        Of several numbers that is the first mobile, for messages go there.
        """
        number, takes_texts = self._phone(phone) if phone else (None, False)
        return Reachable(number, usable_email(email) if email else None, takes_texts)

    def takes_texts(self, number: str) -> bool:
        """Whether a number in E.164 may be a mobile."""
        return self._phone(number)[1]

    def remarks(self, phone: str | None, email: str | None) -> list[Remark]:
        """What of these fields cannot be used, though there is something in them."""
        found = self.usable(phone, email)
        remarks: list[Remark] = []
        if phone and phone.strip():
            if found.phone is None:
                scientific = _SCIENTIFIC.search(_folded(phone)) is not None
                remarks.append(Remark("phone", SCIENTIFIC if scientific else NO_PHONE))
            elif not found.takes_texts:
                remarks.append(Remark("phone", NO_TEXT_MESSAGES))
        if email and email.strip() and found.email is None:
            remarks.append(Remark("email", NO_EMAIL))
        return remarks

    def _phone(self, typed: str) -> tuple[str | None, bool]:
        """The number in E.164, and whether it may be a mobile."""
        plain = typed if typed.isdecimal() else _TYPED.sub("", typed)
        digits = plain.removeprefix(self._country_code)
        if digits.isascii() and digits.isdecimal() and self._mobile.fullmatch(digits):
            return self._country_code + digits, True
        numbers = self._numbers(_FLOAT.sub(r"\1", _folded(typed)).strip())
        mobiles = [n for n in numbers if phonenumbers.number_type(n) in _MAY_BE_MOBILE]
        for number in (*mobiles, *numbers):
            return phonenumbers.format_number(number, PhoneNumberFormat.E164), bool(mobiles)
        return None, False

    def _numbers(self, typed: str) -> list[PhoneNumber]:
        """Those in a field: alone, or several, and among notes and extensions."""
        if _SCIENTIFIC.search(typed):
            return []
        found = [
            match.number
            for match in PhoneNumberMatcher(typed, self._region, leniency=Leniency.VALID)
        ]
        for text in (typed, _EXTENSION.sub("", typed)) if not found else ():
            try:
                number = phonenumbers.parse(text, self._region)
            except NumberParseException:
                continue
            if phonenumbers.is_valid_number(number):
                found.append(number)
        return found


def _folded(typed: str) -> str:
    return unicodedata.normalize("NFKC", without_marks(typed))


def usable_email(typed: str) -> str | None:
    """The first address in a field that mail could be sent to, its domain in ASCII (RFC 5891).

    Several may stand there, and notes; a mailbox that is not ASCII is none that we can write to.
    """
    if typed.isascii() and is_email(typed):
        return typed
    folded = _EMAIL_LABEL.sub(";", _folded(typed)).translate(_DOTS).strip()
    if (whole := _address(folded)) is not None:
        return whole
    for part in _BETWEEN_EMAILS.split(folded):
        words = part.split()
        for before, word in pairwise(("", *words)):
            # `a b@city.example` is a mailbox with a blank in it, and not that of b.
            if (not before.isascii() or not before or "@" in before) and (found := _address(word)):
                return found
    return None


def _address(word: str) -> str | None:
    """`word` as an address in ASCII, if it is one."""
    mailbox, at, domain = word.rstrip(".").rpartition("@")
    if not at or not mailbox.isascii():
        return None
    if not domain.isascii():
        try:
            domain = idna.encode(domain.lower()).decode()
        except idna.IDNAError:
            return None
    address = f"{mailbox}@{domain}"
    return address if is_email(address) else None


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


def masked_email(address: str) -> str:
    """`c****@example.org`: the first letter, and where the mailbox is."""
    mailbox, _, domain = address.rpartition("@")
    return f"{mailbox[:1]}****@{domain}"


def ends_with(phone: str, tail: str) -> bool:
    """Whether the digits of `phone` end with the four digits `tail`."""
    return len(tail) == 4 and re.sub(r"\D", "", phone).endswith(tail)
