"""What a reporter sends after his report: a note, or the report once more with other contents.

Both have the report's own identity, so the channel's log holds them as it holds the report.
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple

from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.readable import readable

NOTES: Final = "progress-page"
"""The `sub_channel` of notes: they say only what they add."""
AT_MOST: Final = 20
"""Notes and corrections of one report; who has more to say is to call."""


class CannotAdd(Exception):
    """Nothing was added: much was already, or the report is not read yet or at its end."""

    def __init__(self, why: Literal["much_already", "not_now"]) -> None:
        super().__init__(why)
        self.why = why


class Addition(NamedTuple):
    """Something that was added: `text` and `address` where they are new."""

    added_at: datetime
    is_note: bool
    text: str | None
    address: str | None
    otherwise: bool
    """Whether place on the map, kind or contact are others than in the report."""


def addition_of(
    sent: ReportSubmitted, added_at: datetime, *, text: str | None, address: str | None
) -> Addition:
    """What `sent` adds to a report whose words are `text` and `address`."""
    if sent.sub_channel == NOTES:
        return Addition(added_at, True, _readable(sent.text), None, False)
    new_text = _readable(sent.text) if sent.text != text else None
    new_address = _readable(sent.address) if sent.address != address else None
    return Addition(added_at, False, new_text, new_address, not (new_text or new_address))


def _readable(words: str | None) -> str | None:
    return readable(words) if words else words
