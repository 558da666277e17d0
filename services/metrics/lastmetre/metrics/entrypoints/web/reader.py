"""One reader's words for a look at the board."""

from babel.support import NullTranslations

from lastmetre.common.web.wording import NO_BREAK, Wording
from lastmetre.metrics.application.board import Figures


class Reader:
    """The figures, and how to say them in the reader's language."""

    def __init__(self, figures: Figures, wording: Wording, translations: NullTranslations) -> None:
        self._f = figures
        self._w = wording
        self._t = translations

    def _(self, message: str, **values: object) -> str:
        return str(self._t.ugettext(message)) % values

    def ngettext(self, one: str, many: str, number: int) -> str:
        """A count in a few words, which stay on one line."""
        words = str(self._t.ungettext(one, many, number)) % {"num": self._w.number(number)}
        return words.replace(" ", NO_BREAK)

    def _length(self, seconds: float) -> str:
        return NO_BREAK.join(self._w.quantity(seconds))
