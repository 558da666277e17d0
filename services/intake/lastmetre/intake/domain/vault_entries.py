"""What the vault keeps of reports and of leads, before it is sealed."""

from typing import Self

from pydantic import AwareDatetime

from lastmetre.common.contact import ends_with
from lastmetre.common.contracts.base import Language, Model
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.intake.domain.normalise import Normalised


class VaultEntry(Model):
    """What the vault keeps of a report: as it was typed, and what of it can be used."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    usable_phone: str | None = None
    usable_email: str | None = None
    language: Language = Language.CHINESE
    text: str | None = None
    address: str | None = None
    readable_text: str | None = None
    """As people are to read it; None: as it was sent. The same for the address."""
    readable_address: str | None = None
    accuracy_metres: float | None = None
    """How far from its position the place may be; None: nobody said."""
    sent: str | None = None
    """What its sender sent, as JSON text, where a mapping read the report."""

    @classmethod
    def of(cls, report: ReportSubmitted, made: Normalised) -> Self:
        """The personal part of a report, and what was made of it."""
        contact, reachable = report.contact, made.reachable
        kept = cls(
            name=contact.name if contact else None,
            phone=contact.phone if contact else None,
            email=contact.email if contact else None,
            usable_phone=reachable.phone,
            usable_email=reachable.email,
            language=contact.language if contact else Language.CHINESE,
            text=report.text,
            address=report.address,
            accuracy_metres=report.position.accuracy_metres if report.position else None,
            sent=report.sent,
        )
        if made.text == report.text and made.address == report.address:
            return kept
        # Apart from the rest, for most reports need none of it.
        return kept.model_copy(
            update={
                "readable_text": made.text if made.text != report.text else None,
                "readable_address": made.address if made.address != report.address else None,
            }
        )

    @property
    def shown_text(self) -> str | None:
        """The text as people read it."""
        return self.text if self.readable_text is None else self.readable_text

    @property
    def shown_address(self) -> str | None:
        """The address as people read it."""
        return self.address if self.readable_address is None else self.readable_address

    def phone_ends_with(self, digits: str) -> bool:
        """Whether the phone, as it was typed or as it is used, ends with these four digits."""
        phones = (self.phone, self.usable_phone)
        return any(ends_with(phone, digits) for phone in phones if phone)

    def to_json(self) -> bytes:
        """As it goes into the vault."""
        return self.__pydantic_serializer__.to_json(self, exclude_defaults=True)


class LeadContact(Model):
    """How an area lead is reached."""

    phone: str | None = None
    email: str | None = None
    language: Language = Language.CHINESE

    def to_json(self) -> bytes:
        """As it goes into the vault."""
        return self.model_dump_json().encode()


class PhotoEntry(Model):
    """What the vault keeps of a photo: the key of its objects, and what the camera noted."""

    key: str
    """Hexadecimal."""
    latitude: float | None = None
    longitude: float | None = None
    taken_at: AwareDatetime | None = None

    def to_json(self) -> bytes:
        """As it goes into the vault."""
        return self.model_dump_json(exclude_defaults=True).encode()
